"""Explore the dataset of the model's task: who is in it, what was found, and how it was confirmed."""

from __future__ import annotations

import streamlit as st

from dashboard.dataset import filters, near_copies, viewer, widgets, wording
from dashboard.dataset.cohort import cohort_size
from dashboard.resources import dataset, models
from dashboard.shell.widgets import class_key, explained_errors


@st.fragment
def explore() -> None:
    """Filters, charts and images; a fragment, so that a filter reruns nothing else."""
    task, counts = models.task(), dataset.counts()
    metadata = None
    with explained_errors("" if counts is None else wording.COUNTS_INSTEAD):
        metadata = dataset.metadata()
    if counts is None:
        widgets.no_counts(task)
        return

    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        headline = st.container(width="content", gap="xxsmall")
        with st.container(horizontal=True, vertical_alignment="bottom", width="content"):
            unit = filters.unit_control(task)
            filters.reset_button()
            download = st.container(horizontal=True, vertical_alignment="center", width="content")
    wanted = filters.cohort_filters(task, counts)
    filters.dropped_remark(wanted)
    filters.write_address(wanted, unit)

    kept = filters.kept_rows(counts, wanted)
    images = None if metadata is None else filters.kept_rows(metadata, wanted)
    with headline:
        st.title(wording.DATASET_TITLE)
        widgets.cohort_headline(task, cohort_size(kept))
    with download:
        filters.evaluation_link(task, wanted)
        widgets.cohort_download(task, kept, images)

    class_key(task)
    if kept.empty:
        widgets.empty_cohort(task)
        return
    widgets.cohort_charts(task, counts, wanted, unit)
    if images is None:
        st.caption(wording.no_dataset_folder(task))
    else:
        widgets.image_grid(task, images)
    widgets.embedding_map(task, wanted, has_images=images is not None)
    near_copies.near_copies(task, wanted)
    if metadata is not None:
        viewer.opened_image(task, metadata)


filters.follow_address(models.task(), dataset.counts())
explore()
st.caption(wording.source(models.task(), dataset.stated_facts()))
