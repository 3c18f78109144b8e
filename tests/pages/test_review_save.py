"""The Review page under AppTest, from the gate to a saved case, with a real case log and image store."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dashboard.answer.diagnosis import OTHER_LABEL
from dashboard.answer.fields import REFERENCE_LABEL
from dashboard.resources import models, stores
from dashboard.review import decision_wording as wording
from dashboard.review import own_read as own_read_widgets
from dashboard.review import queue_table
from dashboard.review import wording as review_wording
from dashboard.settings import settings
from dashboard.shell import errors
from dashboard.shell.formats import percent
from data.cases.case import LOCAL_ACTOR, Case, Decision, Patient, Read
from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseLog, CaseNotFound
from data.cases.queries import CaseQuery
from data.tasks.skin import SKIN
from data.tasks.task import OTHER
from model.inference.clinical import PatientFacts
from tests.support.dashboard import cells_of, environment, table_of
from tests.support.dicom import dicom_file
from tests.support.review import (
    BASAL_CELL,
    SAMPLE,
    button,
    give_own_read,
    new_page,
    noise_png,
    open_sample,
    opened_page,
    pick_own_read,
    pills,
    selectbox,
    sent,
    shown,
    upload,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the log and the images of this file's tests lie."""
    path = tmp_path_factory.mktemp("log")
    places = {"DATABASE_URL": f"sqlite:///{path}/cases.db", "IMAGE_STORE": str(path / "images"), "CASE_KEY": "k" * 32}
    with pytest.MonkeyPatch.context() as patch, environment(patch, **places):  # type: ignore[arg-type]
        yield path


@pytest.fixture
def page(folder: Path) -> AppTest:
    """Of somebody who has seen no answer yet; the log holds no case."""
    log = stores.case_log()
    for summary in log.find(CaseQuery(), LOCAL_ACTOR):
        log.delete(summary.case_id, LOCAL_ACTOR)
    log.forget_shown_answers(timedelta(0))
    return opened_page()


@pytest.fixture
def answered(page: AppTest) -> AppTest:
    """An image of the user's own, read as a nevus, with its answer."""
    return give_own_read(upload(page, ("mine.jpg", SAMPLE.read_bytes())), "nv", "fairly sure", "follow-up")


def field(page: AppTest, kind: str, label: str):  # type: ignore[no-untyped-def]
    return next(one for one in page.get(kind) if one.label == label)


def case_id(page: AppTest) -> UUID:
    """Of the image that was opened last."""
    return list(page.session_state["review_case_ids"].values())[-1]


def saved_case(page: AppTest) -> Case:
    return stores.case_log().case(case_id(page), LOCAL_ACTOR)


def count() -> int:
    return stores.case_log().count(CaseQuery(), LOCAL_ACTOR)


def save(page: AppTest) -> AppTest:
    return button(page, wording.SAVE).click().run()


def labels(page: AppTest) -> list[str]:
    return [one.label for one in page.button]


# --- Gate and own read -----------------------------------------------------------------------------------------------


def test_intended_use_comes_before_anything_else_and_once(folder: Path) -> None:
    page = new_page()
    assert not page.exception
    assert "Not for** diagnosis" in shown(page)
    assert labels(page) == [review_wording.INTENDED_USE_BUTTON]
    assert not page.get("file_uploader")
    button(page, review_wording.INTENDED_USE_BUTTON).click().run()
    assert page.get("file_uploader") and review_wording.INTENDED_USE_BUTTON not in labels(page)
    assert review_wording.INTENDED_USE_BUTTON not in labels(page.run())


def test_nothing_of_the_answer_is_sent_before_the_own_read(page: AppTest) -> None:
    upload(page, ("mine.jpg", SAMPLE.read_bytes()))
    assert not page.exception
    telling = ["lens-bar", "90 % set", "threshold", "of 100", "Grad-CAM", r"levels\":"]
    assert [words for words in telling if words in sent(page)] == []
    assert "data:image/jpeg" in sent(page)
    pick_own_read(page)
    assert [words for words in telling if words in sent(page)] == []
    button(page, wording.SHOW_ANSWER).click().run()
    assert [words for words in telling if words not in sent(page)] == []


def test_answer_waits_until_all_three_are_picked(page: AppTest) -> None:
    upload(page, ("mine.jpg", SAMPLE.read_bytes()))
    assert button(page, wording.SHOW_ANSWER).disabled
    page.radio[0].set_value("mel").run()
    assert wording.still_to_pick(["certainty", "plan"]) in shown(page)
    assert button(page, wording.SHOW_ANSWER).disabled
    give_own_read(page, "mel")
    assert not page.get("radio") and wording.own_read(Read("mel", "sure", "biopsy"), SKIN) in shown(page)


def test_own_read_may_be_skipped_only_where_the_setting_allows_it(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(page, ("mine.jpg", SAMPLE.read_bytes()))
    assert wording.SKIP_READ not in labels(page)
    not_first = settings().model_copy(update={"is_read_first": False})
    monkeypatch.setattr(own_read_widgets, "settings", lambda: not_first)
    button(page.run(), wording.SKIP_READ).click().run()
    assert "role='meter'" in shown(page) and "skipped" in shown(page)
    # Without a read there is nothing to start from.
    assert selectbox(page, "Diagnosis").value is None
    assert wording.still_to_pick(["diagnosis", "plan"]) in shown(page)
    before = count()
    save(page)
    assert count() == before and not page.error
    selectbox(page, "Diagnosis").set_value("nv")
    pills(page, "Plan").set_value("biopsy")
    save(page.run())
    assert saved_case(page).own_read is None


def test_refused_image_is_kept_without_an_answer(page: AppTest) -> None:
    upload(page, ("noise.png", noise_png()))
    assert "Not answered" in shown(page) and SKIN.worded(wording.KEEP_INTRO) in shown(page)
    assert wording.SHOW_ANSWER not in labels(page) and wording.SAVE not in labels(page)
    before = count()
    button(page, wording.KEEP).click().run()
    assert count() == before and wording.still_to_pick(["diagnosis", "certainty", "plan"]) in shown(page)
    selectbox(page, "Diagnosis").set_value("mel").run()
    pills(page, wording.CERTAINTY_LABEL).set_value("unsure").run()
    pills(page, "Plan").set_value("biopsy").run()
    field(page, "text_area", "Note").set_value("out of focus").run()
    button(page, wording.KEEP).click().run()
    case = saved_case(page)
    assert case.refusal is not None and case.refusal.reason == "out_of_distribution"
    assert case.own_read == Read("mel", "unsure", "biopsy") and case.decision == Decision("mel", "biopsy")
    assert case.lesion.note == "out of focus" and "**Saved**" in shown(page)
    assert "role='meter'" not in shown(page)


def test_file_that_is_no_image_is_not_kept(page: AppTest) -> None:
    upload(page, ("text.png", b"no image"))
    assert wording.KEEP not in labels(page) and wording.SAVE not in labels(page)


def test_sample_needs_no_read_and_cannot_be_saved(page: AppTest) -> None:
    open_sample(page, "mel")
    assert "role='meter'" in shown(page) and wording.SAMPLE_NOT_SAVED in shown(page)
    assert wording.SAVE not in labels(page)


def test_second_read_of_an_image_whose_answer_was_shown_is_kept_as_informed(answered: AppTest) -> None:
    assert wording.SEEN_BEFORE not in shown(answered)
    save(answered)
    assert saved_case(answered).own_read == Read("nv", "fairly sure", "follow-up")
    later = upload(opened_page(), ("renamed.jpg", SAMPLE.read_bytes()))
    assert wording.SEEN_BEFORE in shown(later)
    give_own_read(later, "mel")
    assert "Your own read, given after the answer had been shown: **Melanoma (mel)**" in shown(later)
    field(later, "checkbox", SKIN.worded(wording.SAVE_AGAIN)).check().run()
    save(later)
    assert saved_case(later).own_read == Read("mel", "sure", "biopsy", is_informed=True)
    other = give_own_read(upload(opened_page(), ("other.jpg", BASAL_CELL.read_bytes())))
    save(other)
    assert saved_case(other).own_read == Read("nv", "sure", "biopsy")


def test_answer_is_shown_and_remembered_in_the_session_while_the_log_is_away(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: CaseLog, *arguments: object) -> bool:
        raise CaseLogUnavailable("expected a database")

    with monkeypatch.context() as patch:
        for name in ("was_answer_shown", "note_answer_shown"):
            patch.setattr(CaseLog, name, away)
        give_own_read(upload(page, ("mine.jpg", SAMPLE.read_bytes())))
        assert not page.exception and "role='meter'" in shown(page) and wording.SEEN_BEFORE not in shown(page)
        upload(page)  # taken out of the uploader again
        button(page, review_wording.CLOSE_UNSAVED).click().run()
        upload(page, ("again.jpg", SAMPLE.read_bytes()))
        assert not page.exception and wording.SEEN_BEFORE in shown(page)


# --- Saving ----------------------------------------------------------------------------------------------------------


def test_everything_that_was_filled_in_is_saved_and_nothing_before(answered: AppTest, folder: Path) -> None:
    images, before = set((folder / "images").glob("*")), count()
    selectbox(answered, "Diagnosis").set_value("mel")
    pills(answered, "Plan").set_value("excision")
    answered.run()
    reason = next(area for area in answered.text_area if area.label.startswith("Why does it differ"))
    reason.set_value("grew <quickly>")
    field(answered, "text_input", REFERENCE_LABEL).set_value("Q-17").run()
    field(answered, "number_input", "Age, years").set_value(61)
    pills(answered, "Sex").set_value("female")
    pills(answered, "Body site").set_value("back")
    pills(answered, "Side").set_value("left")
    field(answered, "text_area", "Note").set_value("two colours")
    answered.run()
    assert count() == before and set((folder / "images").glob("*")) == images
    save(answered)
    assert not answered.exception and not answered.error
    case = saved_case(answered)
    assert case.captured_name == "mine.jpg" and case.patient == Patient("Q-17", 61.0, "female")
    assert (case.lesion.site, case.lesion.side, case.lesion.note) == ("back", "left", "two colours")
    assert case.own_read == Read("nv", "fairly sure", "follow-up")
    assert case.decision == Decision("mel", "excision", "grew <quickly>")
    alone, facts = models.analyzer().run(SAMPLE.read_bytes()), PatientFacts(61, "back")
    informed = models.analyzer().with_facts(alone, facts)
    assert case.result.probabilities == pytest.approx(tuple(informed.answered.prediction.probabilities), abs=1e-6)
    assert case.result.probabilities != pytest.approx(tuple(alone.answered.prediction.probabilities), rel=0.1)
    assert case.result.population.endswith("given age 61, back")
    assert case.result.p_positive == pytest.approx(alone.answered.prediction.p_positive)
    point = models.artifact().operating_points[0]
    assert (case.result.operating_point, case.result.threshold) == (point.name, point.threshold)
    assert stores.case_log().image(case, LOCAL_ACTOR).startswith(b"\x89PNG")
    assert r"grew \<quickly\>" in shown(answered)


def predicted() -> str:
    """What the model makes of the image of `answered`."""
    prediction = models.analyzer().run(SAMPLE.read_bytes()).answered.prediction
    return prediction.dx


def test_chosen_operating_point_is_saved(answered: AppTest) -> None:
    answered.segmented_control(key="review_operating_point").set_value("sensitivity_90").run()
    save(answered.run())
    assert saved_case(answered).result.operating_point == "sensitivity_90"


def test_form_starts_with_the_own_read_and_a_saved_image_is_not_saved_again(answered: AppTest) -> None:
    before = count()
    assert selectbox(answered, "Diagnosis").value == "nv" and pills(answered, "Plan").value == "follow-up"
    save(answered)
    assert count() == before + 1 and "**Saved**" in shown(answered)
    assert wording.SAVE not in labels(answered)
    link = next(node for node in answered if node.type == "page_link")
    assert link.proto.query_string == f"case={case_id(answered)}"
    # What the second of two quick presses would do.
    case = saved_case(answered)
    log = stores.case_log()
    assert log.case(case.case_id, LOCAL_ACTOR) == case and count() == before + 1


@pytest.mark.parametrize("kind", errors.SAVING)
def test_failed_save_says_so_keeps_the_form_and_can_be_repeated(
    answered: AppTest, kind: type[Exception], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    field(answered, "text_input", REFERENCE_LABEL).set_value("Q-secret").run()
    field(answered, "text_area", "Note").set_value("two colours")
    before = count()

    def away(self: CaseLog, *arguments: object) -> Case:
        raise kind("expected it to be there")

    with monkeypatch.context() as patch, caplog.at_level(logging.INFO):
        patch.setattr(CaseLog, "save", away)
        save(answered)
    assert errors.failure_message("The case was not saved", kind("expected it to be there")) in shown(answered)
    assert wording.KEPT in shown(answered) and "role='meter'" in shown(answered)
    assert count() == before
    assert "Q-secret" not in caplog.text and "mine" not in caplog.text and "two colours" not in caplog.text
    save(answered)
    assert not answered.error
    assert saved_case(answered).lesion.note == "two colours"
    assert saved_case(answered).patient.reference == "Q-secret"


def test_log_that_cannot_be_opened_leaves_the_answer_standing(
    answered: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> CaseLog:
        raise CaseLogUnavailable("expected a database")

    with monkeypatch.context() as patch:
        patch.setattr(stores, "case_log", away)
        save(answered)
    assert not answered.exception and errors.ERRORS[CaseLogUnavailable].title in shown(answered)
    save(answered)
    assert saved_case(answered).decision.dx == "nv"


# --- Decision --------------------------------------------------------------------------------------------------------


def test_reason_is_asked_for_where_the_diagnosis_differs(answered: AppTest) -> None:
    selectbox(answered, "Diagnosis").set_value("vasc").run()
    question = wording.reason_label("vasc", Read("nv", "sure", "biopsy"), predicted(), SKIN)
    assert question is not None and field(answered, "text_area", question)
    selectbox(answered, "Diagnosis").set_value("nv").run()
    assert ("your own read" in " ".join(area.label for area in answered.text_area)) is False


def test_decision_of_a_saved_case_can_be_changed(answered: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    save(answered)
    selectbox(answered, "Diagnosis").set_value("bcc").run()

    def away(self: CaseLog, *arguments: object) -> Case:
        raise CaseLogUnavailable("expected a database")

    with monkeypatch.context() as patch:
        patch.setattr(CaseLog, "decide", away)
        button(answered, wording.CHANGE_DECISION).click().run()
    assert "The decision was not changed" in shown(answered) and saved_case(answered).decision.dx == "nv"
    button(answered, wording.CHANGE_DECISION).click().run()
    assert not answered.error
    assert saved_case(answered).decision == Decision("bcc", "follow-up", "")
    assert saved_case(answered).own_read == Read("nv", "fairly sure", "follow-up")
    assert "Basal cell carcinoma" in shown(answered)


def test_image_of_a_deleted_case_can_be_saved_again(answered: AppTest) -> None:
    save(answered)
    stores.case_log().delete(case_id(answered), LOCAL_ACTOR)
    button(answered, wording.CHANGE_DECISION).click().run()
    assert errors.ERRORS[CaseNotFound].title in shown(answered)
    save(answered.run())
    assert saved_case(answered).decision.dx == "nv"


# --- Patient and lesion ----------------------------------------------------------------------------------------------


def test_same_lesion_as_an_earlier_case(page: AppTest) -> None:
    give_own_read(upload(page, ("first.jpg", SAMPLE.read_bytes())))
    field(page, "text_input", REFERENCE_LABEL).set_value("Visits").run()
    assert wording.NO_EARLIER in shown(page)
    pills(page, "Body site").set_value("foot")
    pills(page, "Side").set_value("right")
    save(page.run())
    first = saved_case(page)
    assert first.lesion.lesion_id == first.case_id
    give_own_read(upload(page, ("second.jpg", BASAL_CELL.read_bytes())))
    field(page, "text_input", REFERENCE_LABEL).set_value(" visits ").run()
    picker = selectbox(page, SKIN.worded(wording.EARLIER_LABEL))
    assert len(picker.options) == 2 and "Foot, right" in picker.options[1]
    picker.set_value(first.lesion.lesion_id).run()
    assert (pills(page, "Body site").value, pills(page, "Side").value) == ("foot", "right")
    assert "The answer takes into account: foot." in shown(page)
    save(page)
    second = saved_case(page)
    assert second.case_id != first.case_id and second.lesion.lesion_id == first.lesion.lesion_id


def test_an_earlier_case_without_a_site_erases_no_stated_one(page: AppTest) -> None:
    give_own_read(upload(page, ("first.jpg", SAMPLE.read_bytes())))
    field(page, "text_input", REFERENCE_LABEL).set_value("No site").run()
    save(page.run())
    first = saved_case(page)
    give_own_read(upload(page, ("second.jpg", BASAL_CELL.read_bytes())))
    pills(page, "Body site").set_value("back")
    field(page, "text_input", REFERENCE_LABEL).set_value("No site").run()
    selectbox(page, SKIN.worded(wording.EARLIER_LABEL)).set_value(first.lesion.lesion_id).run()
    assert pills(page, "Body site").value == "back"
    save(page)
    assert saved_case(page).lesion.site == "back"


def test_earlier_cases_that_cannot_be_looked_up_do_not_stop_saving(
    answered: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: CaseLog, *arguments: object) -> list[object]:
        raise CaseLogUnavailable("expected a database")

    with monkeypatch.context() as patch:
        patch.setattr(CaseLog, "find", away)
        field(answered, "text_input", REFERENCE_LABEL).set_value("Q-18").run()
    assert "Earlier cases were not looked up" in shown(answered)
    save(answered)
    assert saved_case(answered).patient.reference == "Q-18"


def test_dicom_upload_fills_in_age_and_sex_and_warns_of_text(page: AppTest) -> None:
    image = np.asarray(Image.open(SAMPLE).convert("RGB"))
    pixels = {"Rows": image.shape[0], "Columns": image.shape[1], "PixelData": image.tobytes()}
    content = dicom_file(PatientAge="061Y", PatientSex="F", BurnedInAnnotation=None, **pixels)
    give_own_read(upload(page, ("mine.dcm", content)))
    assert not page.exception and review_wording.BURNT_IN_TEXT in shown(page)
    assert field(page, "number_input", "Age, years").value == 61 and pills(page, "Sex").value == "female"
    save(page)
    assert saved_case(page).patient == Patient("", 61.0, "female")


# --- Queue -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[pd.DataFrame]:
    """The tables that were offered as CSV."""
    tables: list[pd.DataFrame] = []
    monkeypatch.setattr(queue_table, "csv_download", lambda table, *names, **options: tables.append(table))
    return tables


def test_same_patient_as_before_is_carried_over_on_request(page: AppTest) -> None:
    upload(page, ("first.jpg", SAMPLE.read_bytes()), ("second.jpg", BASAL_CELL.read_bytes()), ("x.png", noise_png()))
    field(page, "number_input", "Age, years").set_value(52)
    give_own_read(page, "mel")
    assert wording.SAME_PATIENT not in [one.label for one in page.button]
    field(page, "text_input", "Patient reference").set_value("MRN-1003").run()
    pills(page, "Sex").set_value("female").run()
    button(page, "Next").click().run()
    give_own_read(page, "bcc")
    assert field(page, "text_input", "Patient reference").value == ""
    assert button(page, wording.SAME_PATIENT).help == "Reference MRN\\-1003, 52 years, female"
    button(page, wording.SAME_PATIENT).click().run()
    assert field(page, "text_input", "Patient reference").value == "MRN-1003"
    assert field(page, "number_input", "Age, years").value == 52 and pills(page, "Sex").value == "female"
    assert wording.SAME_PATIENT not in [one.label for one in page.button]
    save(page)
    (summary,) = stores.case_log().find(CaseQuery(), LOCAL_ACTOR)
    saved = stores.case_log().case(summary.case_id, LOCAL_ACTOR)
    assert saved.patient == Patient("MRN-1003", 52, "female")


def test_queue_keeps_each_form_and_counts_what_is_saved(page: AppTest, written: list[pd.DataFrame]) -> None:
    upload(page, ("first.jpg", SAMPLE.read_bytes()), ("second.jpg", BASAL_CELL.read_bytes()), ("x.png", noise_png()))
    assert "0 saved" in shown(page) and review_wording.TABLE_WAITS in shown(page)
    field(page, "number_input", "Age, years").set_value(80)
    pills(page, "Body site").set_value("face")
    give_own_read(page, "mel")
    assert "The answer takes into account: age 80, face." in shown(page)
    field(page, "text_area", "Note").set_value("of the first")
    selectbox(page, "Diagnosis").set_value("df")
    button(page, "Next").click().run()
    assert "2 of 3" in shown(page)
    assert not page.get("text_area") and button(page, wording.SHOW_ANSWER).disabled
    assert "The answer is based on the image alone." in shown(page)
    give_own_read(page, "bcc")
    assert not pills(page, "Body site").disabled
    save(page)
    assert pills(page, "Body site").disabled and field(page, "number_input", "Age, years").disabled
    assert "1 saved" in shown(page) and wording.NEXT_HINT in shown(page)
    button(page, "Next").click().run()
    listed = selectbox(page, review_wording.QUEUE_LIST)
    assert listed.options == ["1. first.jpg: read", "2. second.jpg: saved", "3. x.png: refused"]
    listed.set_value(0).run()
    assert "1 of 3" in shown(page)
    assert field(page, "text_area", "Note").value == "of the first" and selectbox(page, "Diagnosis").value == "df"
    assert review_wording.TABLE_WAITS not in shown(page)
    page.toggle(key="review_table").set_value(True).run()
    table = written[-1]
    assert list(table["image"]) == ["first.jpg", "second.jpg", "x.png"]
    facts, analyzer = PatientFacts(80, "face"), models.analyzer()
    informed = analyzer.with_facts(analyzer.run(SAMPLE.read_bytes()), facts).answered.prediction
    alone = analyzer.run(BASAL_CELL.read_bytes()).answered.prediction
    for row, prediction in enumerate((informed, alone)):
        shares = [float(table[dx].iloc[row]) for dx in SKIN.codes]
        assert shares == pytest.approx(list(prediction.probabilities), abs=1e-5)
    # On screen the highest risk comes first and what was refused last, in whole percents and words.
    assert alone.p_positive > informed.p_positive
    assert cells_of(page, "Image") == [["second.jpg", "saved"], ["first.jpg", "read"], ["x.png", "refused"]]
    assert cells_of(page, "Own read") == [["Basal cell carcinoma", "sure"], ["Melanoma", "sure"], []]
    threshold = models.artifact().operating_points[0].threshold
    for lines, prediction in zip(cells_of(page, "Flag"), (alone, informed), strict=False):
        flag = "flagged" if prediction.p_positive >= threshold else "not flagged"
        assert lines == [f"Malignant {percent(prediction.p_positive)}", flag]
    assert cells_of(page, "Flag")[2][0].startswith("Not answered: ")
    pictures = [row["image"][:23] for row in (table_of(page) or {})["rows"]]
    assert pictures == ["data:image/jpeg;base64,"] * 3


def test_file_that_cannot_be_read_is_named_in_the_queue_table(page: AppTest, written: list[pd.DataFrame]) -> None:
    give_own_read(upload(page, ("mine.jpg", SAMPLE.read_bytes()), ("half.jpg", SAMPLE.read_bytes()[:3000])))
    button(page, "Next").click().run()
    page.toggle(key="review_table").set_value(True).run()
    assert [lines[0] for lines in cells_of(page, "Image")] == ["mine.jpg", "half.jpg"]
    assert cells_of(page, "Flag")[1] == ["Not answered. This image file is damaged."]
    assert list(written[-1]["quality"]) == ["ok", "damaged"]


def test_file_name_is_no_formula_in_the_csv(page: AppTest, written: list[pd.DataFrame]) -> None:
    upload(page, ("=1+1.png", noise_png()), ("plain.png", noise_png(1)))
    button(page, "Next").click().run()
    page.toggle(key="review_table").set_value(True).run()
    assert list(written[-1]["image"]) == ["'=1+1.png", "plain.png"]


def test_picks_before_the_answer_are_kept_per_image(page: AppTest) -> None:
    upload(page, ("first.jpg", SAMPLE.read_bytes()), ("second.jpg", BASAL_CELL.read_bytes()))
    page.radio[0].set_value("vasc").run()
    button(page, "Next").click().run()
    assert page.radio[0].value is None
    button(page, "Previous").click().run()
    assert page.radio[0].value == "vasc"


def test_something_that_is_none_of_the_classes_is_read_decided_and_saved(page: AppTest) -> None:
    upload(page, ("mine.jpg", SAMPLE.read_bytes()))
    assert "The model knows seven diagnoses only." in shown(page)
    pick_own_read(page, OTHER)
    assert field(page, "radio", "Diagnosis").options[-1] == "Other, not among the seven"
    assert wording.still_to_pick(["diagnosis"]) in shown(page)
    assert button(page, wording.SHOW_ANSWER).disabled
    field(page, "text_input", OTHER_LABEL).set_value(" Spitz *naevus* ").run()
    button(page, wording.SHOW_ANSWER).click().run()
    assert "Your read before the AI: **Other: Spitz \\*naevus\\***, sure, biopsy" in shown(page)
    assert "The model knows seven diagnoses only." in shown(page)
    field(page, "text_input", OTHER_LABEL).set_value("Merkel cell carcinoma").run()
    save(page)
    case = saved_case(page)
    assert case.own_read == Read(OTHER, "sure", "biopsy", other="Spitz *naevus*")
    assert (case.decision.dx, case.decision.other) == (OTHER, "Merkel cell carcinoma")
    assert case.result.prediction != OTHER and "Other: Merkel cell carcinoma, biopsy" in shown(page)


def test_all_diagnoses_can_be_chosen_by_name(page: AppTest) -> None:
    upload(page, ("mine.jpg", SAMPLE.read_bytes()))
    assert page.radio[0].options == [*map(SKIN.titled, SKIN.codes), "Other, not among the seven"]
