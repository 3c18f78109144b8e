"""Draws one page of the cases found: a small picture that opens the case, and what tells the cases apart."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import streamlit as st

from dashboard.answer.diagnosis import listed_diagnosis
from dashboard.answer.image_table import Cell, Column, ImageRow, image_table
from dashboard.answer.patient import choice, person, place_of
from dashboard.answer.saved import AFTER_THE_ANSWER, NO_ANSWER
from dashboard.cases import wording
from dashboard.cases.opened import ask_for
from dashboard.cases.thumbnails import thumbnails
from dashboard.shell.formats import percent
from dashboard.shell.times import shown_time
from data.cases.case import Patient
from data.cases.queries import CaseSummary
from data.tasks.known import TASKS
from data.tasks.task import Task


def case_table(summaries: Sequence[CaseSummary], task: Task | None) -> tuple[UUID, ...]:
    """One page as a table; gives the cases whose rows are ticked. Pressing a picture opens its case.

    Args:
        summaries: of the page.
        task: of all of them; None where they are of several, and each row names its own.
    """
    case_ids = {str(summary.case_id): summary.case_id for summary in summaries}
    pictures = thumbnails(summaries)
    event = image_table(
        wording.TABLE_CAPTION,
        _columns(task),
        [_row(summary, pictures, names_task=task is None) for summary in summaries],
        open_label="Open",
        is_tickable=True,
        # Another page is another table, so that ticks never move to other cases.
        key=f"cases_table_{hash(tuple(case_ids))}",
    )
    if event.opened is not None:
        ask_for(case_ids[event.opened])
        st.rerun()
    return tuple(case_ids[one] for one in event.ticked)


def _columns(task: Task | None) -> list[Column]:
    return [
        Column("Case"),
        Column("Patient", "tablet"),
        Column("Own read", "tablet"),
        Column("AI", help=wording.positive_help(task)),
        Column("Decision"),
        Column(wording.reference_name(task), "laptop"),
        Column("Saved by", "laptop"),
    ]


def _row(summary: CaseSummary, pictures: dict[UUID, bytes | None], names_task: bool) -> ImageRow:
    case_id, task = summary.case_id, TASKS[summary.task]
    reference, saved = summary.patient_reference or wording.NO_REFERENCE, shown_time(summary.saved_at)
    return ImageRow(
        id=str(case_id),
        label=f"{reference}, {saved}",
        thumbnail=pictures.get(case_id),
        note=wording.NO_PICTURE if case_id in pictures else wording.PICTURE_COMES,
        cells=(
            Cell((reference, saved, *([task.name] if names_task else []))),
            Cell((person(Patient("", summary.age, summary.sex)), place_of(task, summary.site, summary.side))),
            Cell(
                (
                    listed_diagnosis(task, summary.own_dx, summary.own_other),
                    AFTER_THE_ANSWER if summary.own_is_informed else "",
                )
            ),
            Cell(_of_model(summary, task), bool(summary.is_flagged)),
            Cell((listed_diagnosis(task, summary.dx, summary.other), choice(summary.plan))),
            Cell((listed_diagnosis(task, summary.biopsy_dx, summary.biopsy_other),)),
            Cell((summary.saved_by,)),
        ),
    )


def _of_model(summary: CaseSummary, task: Task) -> tuple[str, ...]:
    if summary.prediction is None or summary.p_positive is None:
        return (NO_ANSWER,)
    flag = wording.flag(task, percent(summary.p_positive), bool(summary.is_flagged))
    return task.named(summary.prediction).name, flag
