"""Explore HAM10000: who is in it, what was found, and how it was confirmed."""

from __future__ import annotations

import streamlit as st

from dashboard.dataset import widgets, wording
from dashboard.dataset.cohort import cohort_size, filter_rows
from dashboard.shell import resources
from dashboard.shell.widgets import diagnosis_key, explained_errors


@st.fragment
def explore() -> None:
    """Filters, charts and images; a fragment, so that a filter reruns nothing else."""
    counts = resources.counts()
    metadata = None
    with explained_errors():
        metadata = resources.metadata()

    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        headline = st.container(width="content", gap="xxsmall")
        with st.container(horizontal=True, vertical_alignment="bottom", width="content"):
            unit = widgets.unit_control()
            widgets.reset_button()
            download = st.container(width="content")
    wanted = widgets.cohort_filters(counts)

    kept = filter_rows(counts, wanted)
    images = None if metadata is None else filter_rows(metadata, wanted)
    with headline:
        st.title(wording.DATASET_TITLE)
        widgets.cohort_headline(cohort_size(kept))
    with download:
        widgets.cohort_download(kept, images)

    diagnosis_key()
    if kept.empty:
        widgets.empty_cohort()
        return
    widgets.cohort_charts(counts, wanted, unit)
    if images is None:
        st.caption(wording.NO_DATASET_FOLDER)
    else:
        widgets.image_grid(images)


explore()
st.caption(wording.DATASET_SOURCE)
