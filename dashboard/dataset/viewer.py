"""One image of the dataset at its full size: outline, size, colour, the lesion's other images, and what is like it."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.dataset import wording
from dashboard.dataset.near_copies import copies_of
from dashboard.dataset.outline import outlined
from dashboard.resources import answers, dataset
from dashboard.shell import formats
from dashboard.shell.widgets import explained_errors
from data.datasets.appearance import ImageFacts, image_facts
from data.tasks.task import Task

SIMILAR = 6
CARD_WIDTH = 110  # pixels
_OPENED = "dataset_opened"


def ask_for(image_id: str) -> None:
    """Callback: open an image after this step."""
    st.session_state[_OPENED] = image_id


def opened_image(task: Task, metadata: pd.DataFrame) -> None:
    """The image that was asked for, in a window over the page; closed, it is gone."""
    image_id = st.session_state.pop(_OPENED, None)
    found = metadata[metadata["image_id"] == image_id]
    if len(found):
        st.dialog(image_id, width="large", icon=":material/zoom_in:")(_window)(task, next(found.itertuples()), metadata)


def _window(task: Task, row: Any, metadata: pd.DataFrame) -> None:
    found = dataset.image_and_mask(row.image_id)
    if found is None:
        st.warning(wording.no_readable_file(row.image_id), icon=":material/broken_image:")
    else:
        image, mask = found
        has_outline = mask is not None and st.toggle(
            task.worded(wording.OUTLINE_LABEL), value=True, key="dataset_outline"
        )
        shown = outlined(image, mask) if mask is not None and has_outline else image
        alternative = f"{task.words.image.capitalize()} {row.image_id}, {row.dx}"
        st.image(shown, width="stretch", alt=alternative)
        facts = image_facts(image, mask)
        st.html(_facts(task.words.subject, facts))
    st.markdown(wording.image_caption(row, dataset.stated_facts()))
    others = metadata[(metadata["lesion_id"] == row.lesion_id) & (metadata["image_id"] != row.image_id)]
    st.markdown(f"**{task.worded(wording.SAME_LESION)}** ({len(others)})")
    pairs = dataset.near_copies()
    copies = {} if pairs is None else copies_of(pairs, row.image_id)
    notes = {image_id: wording.NEARLY_THE_SAME for image_id in copies}
    _thumbnails([(other.image_id, other.dx, notes.get(other.image_id, "")) for other in others.itertuples()])
    elsewhere = metadata[metadata["image_id"].isin(copies) & (metadata["lesion_id"] != row.lesion_id)]
    if len(elsewhere):
        st.markdown(f"**{task.worded(wording.COPY_ELSEWHERE)}**")
        _thumbnails([(other.image_id, other.dx, other.lesion_id) for other in elsewhere.itertuples()])
    with explained_errors():
        neighbours = answers.similar_lesions(row.image_id, row.lesion_id, SIMILAR)
        st.markdown(f"**{task.worded(wording.MORE_LIKE_THIS)}**")
        if not neighbours:
            st.caption(wording.NOTHING_LIKE_IT)
        _thumbnails([(one.image_id, one.dx, f"distance {one.distance:.2f}") for one in neighbours])


def _facts(subject: str, facts: ImageFacts) -> str:
    swatches = [(subject, facts.lesion), ("around it" if facts.lesion else "mean colour", facts.around or facts.whole)]
    shown = "".join(
        f'<i style="background:rgb{colour}"></i>{escape(name)} {" ".join(map(str, colour))} &nbsp; '
        for name, colour in swatches
        if colour is not None
    )
    area = "" if facts.area is None else f" · {subject} {formats.percent(facts.area)} of the image"
    size = f"{facts.width} x {facts.height} px{area}"
    return f'<p class="lens-data lens-swatches">{size} · {shown}</p>'


def _thumbnails(images: list[tuple[str, str, str]]) -> None:
    if not images:
        return
    with st.grid("auto", min_column_width=CARD_WIDTH, gap="small") as grid:
        for image_id, dx, note in images:
            with grid.cell():
                content = dataset.thumbnail(image_id)
                if content is not None:
                    st.image(content, width="stretch", alt=f"{image_id}, {dx}")
                st.html(f'<p class="lens-data"><b>{escape(dx)}</b> {escape(note)}<br>{escape(image_id)}</p>')
