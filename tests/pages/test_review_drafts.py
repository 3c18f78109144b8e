"""The queue of the Review page under AppTest: uploads join it, what is unsaved stays, and a refresh brings it back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.access import tab
from dashboard.answer.fields import REFERENCE_LABEL
from dashboard.resources import stores
from dashboard.review import decision_wording as wording
from dashboard.review import state, widgets
from dashboard.review import wording as review_wording
from dashboard.shell import identity
from dashboard.shell.times import shown_day
from data.cases.case import LOCAL_ACTOR, Actor, Case
from data.cases.queries import CaseQuery
from data.tasks.skin import SKIN
from model.evaluation.use import measure_use, use_table
from tests.support.case_log import case_log_of, made_up_draft, made_up_image
from tests.support.review import (
    BASAL_CELL,
    SAMPLE,
    button,
    give_own_read,
    noise_png,
    opened_page,
    pick_own_read,
    selectbox,
    shown,
    upload,
)

ROOT = Path(__file__).resolve().parents[2]
TAB = "0123456789abcdef0123456789abcdef"
FIRST, SECOND = ("first.jpg", SAMPLE.read_bytes()), ("second.jpg", BASAL_CELL.read_bytes())
NOISE = ("x.png", noise_png())


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with case_log_of(tmp_path, monkeypatch):
        yield
    stores.drafts().forget(TAB)


def opened_app(monkeypatch: pytest.MonkeyPatch, name: str = TAB) -> AppTest:
    """The whole app in a browser tab of this name, as after a refresh: a new session."""
    monkeypatch.setattr(tab, "_component", lambda: lambda **options: SimpleNamespace(name=name))
    return AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60).run()


def accepted(page: AppTest) -> AppTest:
    return button(page, review_wording.INTENDED_USE_BUTTON).click().run()


def listed(page: AppTest) -> list[str]:
    return selectbox(page, review_wording.QUEUE_LIST).options


def labels(page: AppTest) -> list[str]:
    return [one.label for one in page.button]


# --- Queue -----------------------------------------------------------------------------------------------------------


def test_another_upload_joins_the_queue_and_is_shown() -> None:
    page = give_own_read(upload(opened_page(), FIRST))
    upload(page, FIRST, SECOND)
    assert listed(page) == ["1. first.jpg: read", "2. second.jpg: open"] and "2 of 2" in shown(page)
    upload(page, NOISE)  # as after a look at another page: the uploader lists none of the others
    assert listed(page) == ["1. first.jpg: read", "2. second.jpg: open", "3. x.png: refused"]


def test_same_file_does_not_join_twice_and_its_read_stays_locked() -> None:
    page = give_own_read(upload(opened_page(), FIRST, SECOND), "vasc")
    button(page, "Next").click().run()
    upload(page, ("renamed.jpg", SAMPLE.read_bytes()))
    assert "1 of 2" in shown(page) and listed(page) == ["1. first.jpg: read", "2. second.jpg: open"]
    assert not page.get("radio")


def test_closing_asks_only_where_work_would_be_lost() -> None:
    page = upload(opened_page(), FIRST, SECOND)
    page.session_state["review_listed"] = set()
    page.file_uploader[0].set_value([])
    page.run()
    pick_own_read(page)
    button(page, review_wording.CLOSE_THIS).click().run()
    assert review_wording.not_saved(["first.jpg"]) in shown(page) and len(listed(page)) == 2
    button(page, review_wording.CLOSE_UNSAVED).click().run()
    assert "first.jpg" not in shown(page) and review_wording.QUEUE_LIST not in [one.label for one in page.selectbox]
    button(page, review_wording.close(1)).click().run()
    assert "Drop a dermoscopic image" in shown(page)


# --- The same image, saved before ------------------------------------------------------------------------------------


def saved_once() -> Case:
    page = give_own_read(upload(opened_page(), FIRST))
    selectbox(page, "Diagnosis").set_value("mel").run()
    button(page, wording.SAVE).click().run()
    (case,) = stores.case_log().cases(CaseQuery(), LOCAL_ACTOR)
    return case


def test_image_that_was_saved_is_told_at_upload_and_saved_again_on_purpose_only_as_the_same_lesion() -> None:
    case = saved_once()
    page = upload(opened_page(), ("renamed.jpg", FIRST[1]))
    (told,) = [info.value for info in page.info if "Saved on" in info.value]
    assert told.startswith(f"**Saved on {shown_day(case.saved_at)} as Melanoma (mel)** by ")
    (link,) = page.get("page_link")
    assert str(case.case_id) in str(link.proto)
    give_own_read(page)
    assert button(page, wording.SAVE).disabled
    next(one for one in page.checkbox if one.label == SKIN.worded(wording.SAVE_AGAIN)).check().run()
    button(page, wording.SAVE).click().run()
    cases = list(stores.case_log().cases(CaseQuery(), LOCAL_ACTOR))
    assert len(cases) == 2 and {one.lesion.lesion_id for one in cases} == {case.lesion.lesion_id}
    use = measure_use(use_table(cases, SKIN), SKIN, resamples=50)
    assert (use.cases, use.lesions) == (2, 1)


def test_diagnosis_of_another_reader_is_told_after_the_own_read_only() -> None:
    case = saved_once()
    stores.case_log().forget_shown_answers(timedelta(0))
    page = upload(opened_page(), FIRST)
    told = next(info.value for info in page.info if "Saved on" in info.value)
    assert "Melanoma" not in told and "shown after your own read" in told
    give_own_read(page)
    assert f"**Saved on {shown_day(case.saved_at)} as Melanoma (mel)**" in shown(page)


def test_image_that_is_saved_elsewhere_meanwhile_is_not_saved_twice_unasked() -> None:
    page = give_own_read(upload(opened_page(), FIRST))
    case = saved_once()
    button(page, wording.SAVE).click().run()
    assert f"**Saved on {shown_day(case.saved_at)} as Melanoma (mel)**" in shown(page)
    assert stores.case_log().count(CaseQuery(), LOCAL_ACTOR) == 1 and button(page, wording.SAVE).disabled


def test_image_of_another_organisation_is_not_told() -> None:
    draft = replace(made_up_draft(), content_sha256=hashlib.sha256(FIRST[1]).hexdigest())
    stores.case_log().save(draft, made_up_image(), Actor("sven@south.org", "South", "clinician"))
    assert "Saved on" not in shown(upload(opened_page(), FIRST))


# --- A refresh -------------------------------------------------------------------------------------------------------


def test_refresh_brings_back_queue_reads_and_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    page = upload(accepted(opened_app(monkeypatch)), FIRST, SECOND)
    give_own_read(page, "vasc", "unsure", "excision")
    next(area for area in page.text_area if area.label == "Note").set_value("two colours")
    next(one for one in page.text_input if one.label == REFERENCE_LABEL).set_value("Q-9").run()
    selectbox(page, "Diagnosis").set_value("df").run()
    warned = [one.value for one in page.warning]
    again = opened_app(monkeypatch)
    assert not again.exception and [one.value for one in again.warning] == warned
    assert listed(again) == ["1. first.jpg: read", "2. second.jpg: open"] and "1 of 2" in shown(again)
    assert not again.get("radio") and "Your read before the AI: **Vascular lesion (vasc)**, unsure" in shown(again)
    assert next(area for area in again.text_area if area.label == "Note").value == "two colours"
    assert next(one for one in again.text_input if one.label == REFERENCE_LABEL).value == "Q-9"
    assert selectbox(again, "Diagnosis").value == "df"
    button(again, wording.SAVE).click().run()
    (case,) = stores.case_log().cases(CaseQuery(), LOCAL_ACTOR)
    assert (case.lesion.note, case.patient.reference, case.decision.dx) == ("two colours", "Q-9", "df")


def test_a_page_is_drawn_again_only_where_something_is_held_for_the_tab(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr("dashboard.shell.widgets.research_banner", lambda: drawn.append("banner"))
    page = opened_app(monkeypatch)
    assert len(drawn) == 1
    upload(accepted(page), FIRST)
    drawn.clear()
    assert "sharp enough" in shown(opened_app(monkeypatch))
    assert len(drawn) == 2


def test_refresh_during_an_analysis_comes_back_to_the_image_that_was_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    page = upload(accepted(opened_app(monkeypatch)), FIRST, SECOND)
    give_own_read(page)
    with monkeypatch.context() as slow:
        # What follows is not reached before the refresh.
        slow.setattr(widgets, "analyse", lambda upload: st.stop())
        button(page, "Next").click().run()
    again = opened_app(monkeypatch)
    assert not again.exception and "2 of 2" in shown(again)
    assert listed(again) == ["1. first.jpg: read", "2. second.jpg: open"]


def test_another_tab_and_another_user_get_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    give_own_read(upload(accepted(opened_app(monkeypatch)), FIRST))
    assert review_wording.INTENDED_USE_BUTTON in labels(opened_app(monkeypatch, "f" * 32))
    monkeypatch.setattr(identity, "actor", lambda: Actor("eve@south.org", "South", "clinician"))
    assert review_wording.INTENDED_USE_BUTTON in labels(opened_app(monkeypatch))


def test_nothing_is_held_once_the_queue_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    page = upload(accepted(opened_app(monkeypatch)), FIRST)
    assert stores.drafts().held(TAB, LOCAL_ACTOR) is not None
    page.session_state["review_listed"] = set()
    page.file_uploader[0].set_value([])
    page.run()
    button(page, review_wording.close(1)).click().run()
    assert stores.drafts().held(TAB, LOCAL_ACTOR) is None


def test_what_is_too_large_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MOST_BYTES_EACH", len(SAMPLE.read_bytes()))
    upload(accepted(opened_app(monkeypatch)), FIRST, NOISE)
    again = opened_app(monkeypatch)
    assert review_wording.not_held(1) in shown(again) and "x.png" not in shown(again)
    assert [one.name for one in again.session_state["review_uploads"]] == ["first.jpg"]
