"""Text on where heatmaps lie and what is left of them, on the Evaluation page and in the model card."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pandas as pd

from dashboard.answer import heatmap_findings
from dashboard.evaluation.studies.trust_tables import heatmap_differences
from dashboard.shell.glossary import metric_of
from dashboard.shell.metrics import n_of
from data.tasks.task import Task
from model.studies.heatmap_summary import GRAD_CAM, SPOT

Row = Mapping[Any, Any]

HEATMAP_TITLE = "Heatmap of the {standout}, by method"
RANDOMISATION_TITLE = "Likeness of the heatmap when the network loses what it has learned"


def found(task: Task, section: Mapping[str, Any]) -> str:
    """All that was found of the heatmaps, for the model card."""
    sentences = (
        heatmap_meaning(task, heatmap_differences(section), GRAD_CAM, SPOT),
        heatmap_findings.randomisation_found(task, section),
        heatmap_findings.noise_found(task, section),
    )
    return " ".join(sentence for sentence in sentences if sentence)


def heatmap_meaning(task: Task, differences: pd.DataFrame, method: str, baseline: str) -> str:
    """What the study means: where the map lies and whether the score depends on it, against the baseline.

    Args:
        task: what is told apart.
        differences: of `dashboard.evaluation.studies.trust_tables.heatmap_differences`.
        method, baseline: names in it.

    Returns:
        One sentence, also where the two were not compared.
    """
    pairs = [row for row in differences.to_dict("records") if (row["method"], row["other"]) == (method, baseline)]
    if not pairs:
        return f"{method} was not compared with the baseline ({baseline})."
    row = pairs[0]
    depends = f"depends on where it is hot {_compared(task, row, 'faithfulness', 'faithfulness_images')}"
    if math.isnan(row["iou"]):
        return (
            f"Compared with the baseline ({baseline}), the score under {method} {depends}; that does not show that the "
            "reason is a medical one, and whether it lies where it should was not measured."
        )
    return (
        f"Compared with the baseline ({baseline}), {method} overlaps the {task.words.subject} "
        f"{_compared(task, row, 'iou', 'images')}, and the score {depends}; neither shows that the reason is a medical "
        "one."
    )


def _compared(task: Task, row: Row, name: str, images: str) -> str:
    """`more (IoU +0.12, +0.08 to +0.16, n = 200)`, or `about as much` where the interval holds 0."""
    value, low, high = (row[f"{name}{suffix}"] for suffix in ("", "_low", "_high"))
    word = "more" if low > 0 else "less" if high < 0 else "about as much"
    return f"{word} ({metric_of(name, task).name} {value:+.2f}, {low:+.2f} to {high:+.2f}, {n_of(row[images])})"


def stage_name(row: Row) -> str:
    """How much of the network is randomised: everything from the output down to here."""
    if row["part"] == "output":
        return "last layer"
    if row["part"] == "head":
        return "all above the backbone"
    share = Fraction(row["backbone_share"]).limit_denominator(100)
    return "the whole network" if share == 1 else f"and {share} of the backbone"


def without_evidence(row: Row) -> str:
    """How many maps showed nothing; empty where every map showed something."""
    return f"{row['without_evidence']:,} without evidence" if row["without_evidence"] else ""
