"""Images of a cohort that are nearly the same: which pairs there are, and whether the dataset calls them one lesion."""

from __future__ import annotations

from collections.abc import Collection
from html import escape

import pandas as pd
import streamlit as st

from dashboard.dataset import wording
from dashboard.resources import dataset
from dashboard.shell.widgets import csv_download, html_table
from data.datasets.cohort import CohortFilter, filter_rows
from data.tasks.task import Task

MOST_SHOWN = 100  # pairs


def pairs_among(pairs: pd.DataFrame, image_ids: Collection[str]) -> pd.DataFrame:
    """The pairs of which an image is among these; pairs with two lesion ids first, then the highest correlation.

    Args:
        pairs: see `data.datasets.near_copies.find_near_copies`.
        image_ids: of the cohort.
    """
    kept = pairs[pairs["first"].isin(image_ids) | pairs["second"].isin(image_ids)]
    is_one_lesion = kept["first_lesion"] == kept["second_lesion"]
    return kept.assign(is_one_lesion=is_one_lesion).sort_values(
        ["is_one_lesion", "correlation"], ascending=[True, False], kind="stable"
    )


def copies_of(pairs: pd.DataFrame, image_id: str) -> dict[str, float]:
    """The images that are nearly the same as one, with the correlation of their detail."""
    as_first = pairs.loc[pairs["first"] == image_id, ["second", "correlation"]]
    as_second = pairs.loc[pairs["second"] == image_id, ["first", "correlation"]]
    return dict((*as_first.itertuples(index=False, name=None), *as_second.itertuples(index=False, name=None)))


def near_copies(task: Task, wanted: CohortFilter) -> None:
    """The pairs of a cohort, when the panel is opened; nothing where none were looked for."""
    pairs, table = dataset.near_copies(), dataset.appearance()
    if pairs is None or table is None:
        return
    with st.expander(wording.COPIES_TITLE, key="dataset_copies", on_change="rerun") as panel:
        if panel.open:
            rows = filter_rows(table, wanted)
            _pairs(task, pairs_among(pairs, set(rows["image_id"])), table.set_index("image_id")["dx"])


def _pairs(task: Task, found: pd.DataFrame, dx: pd.Series) -> None:
    if found.empty:
        st.caption(wording.COPIES_EMPTY)
        return
    two_ids = int((~found["is_one_lesion"]).sum())
    st.html(f'<p class="lens-data">{escape(wording.copies_found(task, len(found), two_ids))}</p>')
    rows = [
        (pair.first, pair.second, f"{dx[pair.first]}, {dx[pair.second]}", f"{pair.correlation:.2f}")
        + (("yes",) if pair.is_one_lesion else (f"no: {pair.first_lesion}, {pair.second_lesion}",))
        for pair in found.head(MOST_SHOWN).itertuples()
    ]
    html_table(
        ("image", "is nearly", task.words.label, "correlation", f"one {task.words.subject} id"), rows, numeric=(3,)
    )
    st.html(f'<p class="lens-data">{escape(task.worded(wording.COPIES_NOTE))}</p>')
    csv_download(found, "near_copies.csv", key="copies_csv", type="tertiary")
