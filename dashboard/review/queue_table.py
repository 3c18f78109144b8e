"""Draws all images of a queue as one table, the highest risk first, and writes them as CSV."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image

from dashboard.answer.diagnosis import listed_diagnosis
from dashboard.answer.image_table import Cell, Column, ImageRow, image_table, thumbnail_of
from dashboard.resources import models
from dashboard.review import evidence, facts, state, wording
from dashboard.review.state import Progress, Upload
from dashboard.shell.formats import percent, plain_cell
from dashboard.shell.widgets import csv_download
from data.tasks.task import Task
from model.analysis.analyzer import Analysis
from model.batch.rows import rejected_row, row_of
from model.batch.table import Row, columns_of
from model.images.rejection import ImageRejected
from model.inference.classifier import Prediction

CSV_NAME = "lesionlens_predictions.csv"


@dataclass(frozen=True)
class QueueEntry:
    """An image of a queue.

    Attributes:
        number: its place in the queue, from 0.
        name: of the file.
        progress: how far its review has come.
        analysis: None where the file could not be read.
        problem: why there is no answer; empty where there is one.
        row: of the CSV, in the columns of `python -m model.predict`.
    """

    number: int
    name: str
    progress: Progress
    analysis: Analysis | None
    problem: str
    row: Row

    @property
    def prediction(self) -> Prediction | None:
        """The answer; None for a refused image."""
        answer = None if self.analysis is None else self.analysis.answer
        return None if answer is None else answer.prediction


def queue_table(uploads: list[Upload]) -> None:
    """The table of several images, once the reader's own read of each is given: it holds the AI's answers."""
    if len(uploads) > 1:
        _table(uploads)


@st.fragment
def _table(uploads: list[Upload]) -> None:
    if not all(progress.is_read or progress.is_refused for progress in map(_progress, uploads)):
        st.caption(wording.TABLE_WAITS)
        return
    if not st.toggle(wording.table_toggle(len(uploads)), key="review_table"):
        return
    entries = _entries(uploads)
    event = image_table(
        wording.TABLE_CAPTION,
        [Column("Image"), Column("Own read", "tablet"), Column("Most likely", "tablet"), Column("Flag")],
        [_drawn(entry) for entry in by_risk(entries)],
        open_label="Show",
        is_tickable=False,
        key="review_queue_table",
    )
    if event.opened is not None:
        state.go_to(int(event.opened))
        st.rerun()
    table = pd.DataFrame([entry.row for entry in entries], columns=list(columns_of(models.artifact().task)))
    csv_download(table.assign(image=table["image"].map(plain_cell)), CSV_NAME, key="review_csv")


def by_risk(entries: list[QueueEntry]) -> list[QueueEntry]:
    """The image most likely to be positive first, those without an answer last, in the order of the queue."""
    return sorted(
        entries, key=lambda entry: -1.0 if entry.prediction is None else entry.prediction.p_positive, reverse=True
    )


def _progress(upload: Upload) -> Progress:
    return state.progress(upload.case_id)


def _entries(uploads: list[Upload]) -> list[QueueEntry]:
    bar = st.progress(0.0, "Analysing ...")
    entries = []
    for number, upload in enumerate(uploads):
        entries.append(_entry(number, upload))
        bar.progress((number + 1) / len(uploads), f"Analysed {number + 1} of {len(uploads)}")
    bar.empty()
    return entries


def _entry(number: int, upload: Upload) -> QueueEntry:
    task = models.artifact().task
    entry = partial(QueueEntry, number, upload.name, _progress(upload))
    try:
        analysis = facts.informed(upload, state.analysis(upload))
    except ImageRejected as rejected:
        return entry(None, wording.rejection_reason(rejected), rejected_row(upload.name, rejected.reason, task))
    problem = "" if analysis.answer else wording.refusal(task, analysis.quality)
    return entry(analysis, problem, row_of(upload.name, analysis, task))


def _drawn(entry: QueueEntry) -> ImageRow:
    task, prediction, read = models.artifact().task, entry.prediction, entry.progress.own_read
    thumbnail = None if entry.analysis is None else thumbnail_of(Image.fromarray(entry.analysis.image))
    answer = (
        (Cell(()), Cell((entry.problem,))) if prediction is None else (_likely(task, prediction), _flag(prediction))
    )
    cells = (
        Cell((entry.name, wording.progress_name(entry.progress))),
        Cell(() if read is None else (listed_diagnosis(task, read.dx, read.other), read.certainty)),
        *answer,
    )
    return ImageRow(str(entry.number), entry.name, thumbnail, wording.NO_PICTURE, cells)


def _likely(task: Task, prediction: Prediction) -> Cell:
    index = int(np.argmax(prediction.probabilities))
    return Cell((task.classes[index].name, percent(float(prediction.probabilities[index]))))


def _flag(prediction: Prediction) -> Cell:
    point = evidence.chosen_operating_point(models.artifact())
    is_flagged = prediction.p_positive >= point.threshold
    positive = prediction.task.question.positive.capitalize()
    return Cell((f"{positive} {percent(prediction.p_positive)}", wording.flag_name(is_flagged)), is_marked=is_flagged)
