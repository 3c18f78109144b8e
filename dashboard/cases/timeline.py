"""Functions that draw one lesion over time: its cases, and two of them side by side at the same zoom."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.answer.diagnosis import diagnosis, listed_diagnosis
from dashboard.answer.patient import choice
from dashboard.answer.saved import NO_ANSWER, listed_own_read, saved_beyond_repeats
from dashboard.answer.viewer import jpeg_url
from dashboard.cases import wording
from dashboard.cases.opened import opened, picture
from dashboard.resources import stores
from dashboard.shell.formats import percent
from dashboard.shell.identity import actor
from dashboard.shell.times import shown_day, shown_time
from dashboard.shell.widgets import html_table
from data.cases.case import Case, ModelResult, probabilities_of
from data.cases.queries import CaseSummary

ASSETS = Path(__file__).resolve().parents[1] / "assets"


@functools.cache
def _component() -> Any:
    """Register the component once a process; Streamlit warns where one name is registered twice."""
    html, js = ((ASSETS / f"compare.{ending}").read_text(encoding="utf-8") for ending in ("html", "js"))
    css = (ASSETS / "viewer.css").read_text(encoding="utf-8")
    return st.components.v2.component("lesionlens_compare", html=html, css=css, js=js)


def timeline(case: Case) -> None:
    """The cases of a lesion, oldest first; two of them can be compared."""
    found = stores.case_log().timeline(case.lesion.lesion_id, actor())
    visits = [visit for visit in found if visit.task == case.task.key]  # another task's answers cannot be compared
    st.header(wording.timeline_heading(case.task))
    if len(visits) < 2:
        st.caption(wording.timeline_alone(case.task))
        return
    _visits_table(visits, case)
    position = next((index for index, visit in enumerate(visits) if visit.case_id == case.case_id), len(visits) - 1)
    before = max(position - 1, 0)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        earlier = _pick("Compare", visits, before, "cases_earlier")
        later = _pick("with", visits, before + 1, "cases_later")
    _compare(opened(earlier.case_id), opened(later.case_id))


def _pick(label: str, visits: Sequence[CaseSummary], index: int, key: str) -> CaseSummary:
    position = st.selectbox(
        label,
        range(len(visits)),
        index=index,
        format_func=lambda position: wording.visit(position + 1, visits[position]),
        key=f"{key}_{visits[index].case_id}",
        width=320,
    )
    return visits[position]


def _visits_table(visits: Sequence[CaseSummary], case: Case) -> None:
    rows = [
        (
            wording.visit(number, visit) + (" (this case)" if visit.case_id == case.case_id else ""),
            wording.days_between(visits[0].saved_at, visit.saved_at),
            listed_own_read(listed_diagnosis(case.task, visit.own_dx, visit.own_other), visit.own_is_informed),
            NO_ANSWER if visit.prediction is None else case.task.named(visit.prediction).name,
            "" if visit.p_positive is None else percent(visit.p_positive),
            "flagged" if visit.is_flagged else "",
            listed_diagnosis(case.task, visit.dx, visit.other),
            choice(visit.plan),
            listed_diagnosis(case.task, visit.biopsy_dx, visit.biopsy_other),
        )
        for number, visit in enumerate(visits, start=1)
    ]
    positive = case.task.question.positive.capitalize()
    headers = (
        "Visit",
        "After the first",
        "Own read",
        "AI",
        positive,
        "Flag",
        "Decision",
        "Plan",
        case.task.words.reference.capitalize(),
    )
    html_table(headers, rows, numeric=(4,))


# --- Two visits ------------------------------------------------------------------------------------------------------


def _compare(earlier: Case, later: Case) -> None:
    _component()(
        key="cases_compare",
        data={"visits": [_visit(earlier), _visit(later)]},
    )
    st.caption(wording.compare_note(later.task))
    rows = [
        *([] if earlier.refusal or later.refusal else _answers(earlier.answered, later.answered)),
        ("Decision", diagnosis(earlier.task, earlier.decision), diagnosis(later.task, later.decision), ""),
        ("Time between", "", wording.days_between(earlier.saved_at, later.saved_at), ""),
    ]
    headers = ("", shown_day(earlier.saved_at), shown_day(later.saved_at), "Points")
    html_table(headers, rows, numeric=(1, 2, 3))


def _answers(earlier: ModelResult, later: ModelResult) -> list[tuple[str, str, str, str]]:
    remark = wording.other_models(earlier, later)
    if remark is not None:
        st.warning(remark, icon=":material/difference:")
    task, old, new = later.task, probabilities_of(earlier), probabilities_of(later)
    if remark is None and (repeat := saved_beyond_repeats(earlier, later)):
        st.caption(repeat)
    return [
        _difference(task.question.positive.capitalize(), earlier.p_positive, later.p_positive),
        *(_difference(one.name, float(old[index]), float(new[index])) for index, one in enumerate(task.classes)),
    ]


def _difference(name: str, old: float, new: float) -> tuple[str, str, str, str]:
    return name, percent(old), percent(new), wording.points(old, new)


def _visit(case: Case) -> dict[str, str]:
    taken = shown_time(case.saved_at)
    return {
        "image": jpeg_url(picture(case).analysis),
        "alt": f"{case.task.words.image.capitalize()} saved {taken}",
        "caption": f"{taken} · {case.image_width} x {case.image_height} px",
    }
