"""Functions that draw where heatmaps lie, what depends on it, and what is left of them in a randomised network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.answer import heatmap_findings
from dashboard.evaluation.metric_tables import metric_table, row_name, stacked
from dashboard.evaluation.studies import heatmap_wording
from dashboard.evaluation.studies.trust import stored_section
from dashboard.evaluation.studies.trust_tables import (
    HEATMAP_MEASURES,
    RANDOMISATION_MEASURES,
    heatmap_differences,
    heatmap_frame,
    randomisation_frame,
)
from dashboard.resources import models
from dashboard.shell.glossary import metric_of
from dashboard.shell.widgets import chart_heading, csv_download
from data.tasks.task import Task
from model.studies.heatmap_summary import GRAD_CAM, SPOT


def heatmaps() -> None:
    """Every heatmap method against the lesion masks, with what it means."""
    section = stored_section("heatmaps")
    if section is None:
        return
    task, table = models.artifact().task, heatmap_frame(section)
    chart_heading(task.worded(heatmap_wording.HEATMAP_TITLE), heatmap_findings.study_data(task, section))
    measures = {name: metric_of(name, task) for name in HEATMAP_MEASURES if table[name].notna().any()}
    rows = [
        (
            row_name(row["method"], heatmap_wording.without_evidence(row)),
            *(stacked(row, name, metric) for name, metric in measures.items()),
            f"{row['images']:,} ({row['faithfulness_images']:,})",
        )
        for row in table.to_dict("records")
    ]
    metric_table(("method",), rows, tuple(measures.values()), ("n (faithfulness)",))
    st.markdown(heatmap_wording.heatmap_meaning(task, heatmap_differences(section), GRAD_CAM, SPOT))
    csv_download(table, "heatmaps.csv", key="heatmaps_csv")
    st.markdown(heatmap_findings.noise_found(task, section))
    _randomised_heatmaps(task, section)


def _randomised_heatmaps(task: Task, section: Mapping[str, Any]) -> None:
    table = randomisation_frame(section)
    if table.empty:
        return
    chart_heading(heatmap_wording.RANDOMISATION_TITLE, heatmap_findings.tested_on(task, section))
    measures = {name: metric_of(name, task) for name in RANDOMISATION_MEASURES}
    rows = [
        (
            row_name(heatmap_wording.stage_name(row), heatmap_wording.without_evidence(row)),
            *(stacked(row, name, metric) for name, metric in measures.items()),
            f"{row['images']:,}",
        )
        for row in table.to_dict("records")
    ]
    metric_table(("randomised",), rows, tuple(measures.values()), ("n",))
    st.markdown(heatmap_findings.randomisation_found(task, section))
    csv_download(table, "heatmaps_randomised.csv", key="heatmaps_randomised_csv")
