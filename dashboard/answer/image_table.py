"""A table of images as HTML: small pictures that open, rows that can be ticked, main columns only on a phone.

Streamlit's own table is drawn on a canvas, which neither a screen reader nor a narrow screen can read.
"""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import streamlit as st
from PIL import Image

ASSETS = Path(__file__).resolve().parents[1] / "assets"
# Pixels a side, for a picture of 56 on a screen of two pixels a point.
THUMBNAIL_SIDE = 112
_QUALITY = 75

Width = Literal["always", "tablet", "laptop"]
_CLASSES: dict[Width, str] = {"always": "", "tablet": "extra", "laptop": "extra wide"}


@dataclass(frozen=True)
class Column:
    """A column of the table; the first one heads its row.

    Attributes:
        name: its heading.
        shown_from: the narrowest screen that it is shown on.
        help: said over the heading; may be empty.
    """

    name: str
    shown_from: Width = "always"
    help: str = ""


@dataclass(frozen=True)
class Cell:
    """Lines of plain text, the first one the main one; the last one is marked in amber where a person must look."""

    lines: tuple[str, ...]
    is_marked: bool = False


@dataclass(frozen=True)
class ImageRow:
    """A row of the table.

    Attributes:
        id: what is given back when the row is opened or ticked.
        label: names the row to a screen reader.
        thumbnail: JPEG bytes; None where there is no picture.
        note: stands in place of a missing picture.
        cells: one a column.
    """

    id: str
    label: str
    thumbnail: bytes | None
    note: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class TableEvent:
    """What the reader did: the row just opened, or None, and the rows that are ticked."""

    opened: str | None
    ticked: tuple[str, ...]


@functools.cache
def _component() -> Any:
    """Register the component once a process; Streamlit warns where one name is registered twice."""
    html, css, js = ((ASSETS / f"image_table.{ending}").read_text(encoding="utf-8") for ending in ("html", "css", "js"))
    return st.components.v2.component("lesionlens_image_table", html=html, css=css, js=js)


def image_table(
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[ImageRow],
    *,
    open_label: str,
    is_tickable: bool,
    key: str,
) -> TableEvent:
    """Draw the table.

    Args:
        caption: what is listed, for a screen reader.
        columns: at least one.
        rows: in their order.
        open_label: what pressing a picture does: `Open`.
        is_tickable: whether rows can be ticked.
        key: of the component in this session; another list needs another key, so that ticks never move to other rows.
    """
    result = _component()(
        key=key,
        data={
            "caption": caption,
            "columns": [{"name": one.name, "className": _CLASSES[one.shown_from], "help": one.help} for one in columns],
            "rows": [_row(row) for row in rows],
            "openLabel": open_label,
            "isTickable": is_tickable,
        },
        default={"ticked": []},
        on_ticked_change=_nothing,
        on_opened_change=_nothing,
    )
    known = {row.id for row in rows}
    ticked = tuple(one for one in result.ticked or () if one in known)
    return TableEvent(result.opened if result.opened in known else None, ticked)


def _nothing() -> None:
    """Streamlit reports only what has a callback."""


def _row(row: ImageRow) -> dict[str, Any]:
    image = "" if row.thumbnail is None else f"data:image/jpeg;base64,{base64.b64encode(row.thumbnail).decode('ascii')}"
    cells = [{"lines": [line for line in cell.lines if line], "isMarked": cell.is_marked} for cell in row.cells]
    return {"id": row.id, "label": row.label, "image": image, "note": row.note, "cells": cells}


def thumbnail_of(image: Image.Image) -> bytes:
    """A small JPEG of an image; the image is not changed."""
    small = image.convert("RGB") if image.mode != "RGB" else image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), reducing_gap=2.0)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
