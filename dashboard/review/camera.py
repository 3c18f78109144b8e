"""The phone's own camera as a way to give an image, and a remark on pictures that are too small."""

from __future__ import annotations

import functools
from typing import Any

import streamlit as st

from dashboard.resources import models
from dashboard.review import wording
from dashboard.settings import ROOT

PHOTO_FILE = ROOT / "dashboard" / "assets" / "photo.js"
# The network averages what it sees; a reader who zooms sees more. Twice the network's width and height is what a
# public dermoscopic image has at least (HAM10000: 600 x 450, doi:10.1038/sdata.2018.161).
TIMES_INPUT = 2
_HTML = """
<label class="photo"><span class="label"></span><input type="file" accept="image/*" capture="environment" /></label>
<p class="status" role="status"></p>
"""
_CSS = """
.photo {
  position: relative; display: flex; align-items: center; justify-content: center; min-height: 3rem; cursor: pointer;
  border-radius: 6px; background: #1f6f8b; color: #fff; font: 600 1rem var(--st-font);
}
.photo input { position: absolute; inset: 0; width: 100%; opacity: 0; cursor: pointer; }
.photo:focus-within { outline: 2px solid var(--st-text-color); outline-offset: 2px; }
.status { margin: 0.25rem 0 0; color: var(--st-text-color); font: 0.9rem var(--st-font); }
.status:empty { display: none; }
"""


@functools.cache
def _component() -> Any:
    """Register the component once a process; Streamlit warns where one name is registered twice."""
    js = PHOTO_FILE.read_text(encoding="utf-8")
    return st.components.v2.component("lesionlens_photo", html=_HTML, css=_CSS, js=js)


def photo_button(uploader: str, images: int) -> None:
    """Draw the button; the style sheet shows it where a finger is what one points with.

    Args:
        uploader: key of the uploader that is given the photo.
        images: in the queue; when it changes, the photo has arrived.
    """
    with st.container(key="review_photo"):
        _component()(
            key="review_photo_button",
            data={
                "uploader": f".st-key-{uploader} input[type=file]",
                "label": wording.TAKE_PHOTO,
                "sending": wording.SENDING_PHOTO,
                "images": images,
            },
        )


def small_picture(height: int, width: int) -> str | None:
    """A remark on an image of fewer pixels than are wanted, whichever way it was held; None where it has enough."""
    artifact = models.artifact()
    wanted = (TIMES_INPUT * artifact.width, TIMES_INPUT * artifact.height)
    if max(width, height) >= max(wanted) and min(width, height) >= min(wanted):
        return None
    return wording.small_picture(width, height, *wanted)
