"""The cohort that Dataset has handed over by the address: which locked test images are measured, and the ways back."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.access import task_choice
from dashboard.answer.cohort import dropped
from dashboard.evaluation import widgets, wording
from dashboard.evaluation.studies import trust
from dashboard.resources import measurements, models
from dashboard.settings import ROOT
from data.datasets.cohort import QUERY_NAMES, to_query

# Where what draws stored figures lives; the other parts of the page compute theirs of the predictions of the cohort.
STORED = (f"{__package__}.studies.", f"{__package__}.trained.")
FOLLOWING: frozenset[Callable[[], None]] = frozenset((trust.calibration,))


def is_filtered() -> bool:
    """Whether the page is about some of the locked test images only."""
    return not measurements.test_cohort()[0].is_everything


def is_empty() -> bool:
    """Whether no locked test image is in the cohort."""
    return is_filtered() and measurements.predictions().empty


def banner() -> None:
    """Which cohort is measured, how many locked test images it has, and the ways to change it; nothing for all."""
    wanted, unknown = measurements.test_cohort()
    if unknown:
        st.info(dropped(unknown), icon=":material/link_off:")
    if wanted.is_everything:
        return
    task, kept = models.artifact().task, measurements.predictions()
    with st.container(border=True, key="evaluation_cohort"):
        lesions, of_all = kept["lesion_id"].nunique(), measurements.all_test_images()
        st.markdown(wording.cohort(task, wanted, len(kept), lesions, of_all))
        if not kept.empty and len(set(map(task.is_positive, kept["dx"]))) == 1:
            st.caption(task.worded(wording.ONE_SIDE))
        with st.container(horizontal=True, vertical_alignment="center"):
            st.page_link(
                st.Page(ROOT / "pages" / "dataset.py"),
                label=wording.BACK_TO_DATASET,
                icon=":material/grid_view:",
                query_params={**to_query(wanted), **task_choice.query()},
                width="content",
            )
            st.button(
                task.worded(wording.ALL_TEST_IMAGES),
                icon=":material/filter_alt_off:",
                key="evaluation_clear_cohort",
                on_click=_clear,
            )


def _clear() -> None:
    for name in QUERY_NAMES:
        st.query_params.pop(name, None)


def say_if_stored(draw: Callable[[], None]) -> None:
    """That what a part shows was measured on all locked test images, where a cohort was handed over."""
    is_stored = draw is widgets.training or (draw.__module__.startswith(STORED) and draw not in FOLLOWING)
    if is_filtered() and is_stored:
        st.caption(f":material/info: {models.artifact().task.worded(wording.STORED_FOR_ALL)}")
