"""Sentences of the Cases page: numbers worked out by hand, users' texts inert, unsure never shown as safe."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest

from dashboard.answer import patient as patient_wording
from dashboard.answer import saved
from dashboard.answer.wording import beyond_repeats, confirmed, elsewhere, missed, of_100, prediction_set
from dashboard.cases import wording
from dashboard.reports import wording as report_wording
from dashboard.resources import models
from dashboard.shell import errors
from dashboard.shell.errors import error_message
from dashboard.shell.formats import escape
from data.cases.case import LOCAL_ACTOR, Case, Decision, Patient, Read
from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseNotFound
from data.cases.queries import ORDERS
from data.cases.rules import NotAllowed
from data.cases.storage import ImageAltered, ImageMissing, StorageUnavailable
from data.cases.tables import CaseUnreadable, SearchKeys, case_of, row_of
from data.tasks.known import TASKS
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from model.inference.measured import MeasuredRate
from tests.support.case_log import made_up_draft, made_up_image, made_up_result, sample_result

# p(malignant) = 0.1 + 0.05 + 0.15 = 0.3 against the threshold 0.25.
FLAGGED = made_up_result([0.1, 0.05, 0.1, 0.1, 0.15, 0.4, 0.1])
NOT_FLAGGED = made_up_result([0.05, 0.05, 0.1, 0.1, 0.1, 0.5, 0.1])


def a_case() -> Case:
    row = row_of(made_up_draft(), made_up_image(), f"{UUID(int=1)}.png", LOCAL_ACTOR, SearchKeys(b"key", b"other key"))
    return replace(case_of(row), saved_at=datetime(2026, 5, 3, 4, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    "error_class",
    [CaseLogUnavailable, CaseNotFound, NotAllowed, StorageUnavailable, ImageMissing, ImageAltered, CaseUnreadable],
)
def test_every_error_of_log_and_store_has_its_message(error_class: type[Exception]) -> None:
    message = error_message(error_class("expected this, received that"))
    assert message.startswith(f"**{errors.ERRORS[error_class].title}.** expected this, received that.")


def test_every_order_of_the_log_has_a_name() -> None:
    for task in TASKS.values():
        assert set(wording.order_names(task)) == set(ORDERS)
    assert wording.order_names(SKIN)["p_positive"] == "Malignant by the AI"
    assert wording.positive_help(SKIN) == (
        "The AI's standout diagnosis, and how likely malignant was: actinic keratosis or intraepithelial carcinoma, "
        "basal cell carcinoma, melanoma together."
    )


@pytest.mark.parametrize(
    ("count", "first", "last", "is_filtered", "expected"),
    [
        (1, 1, 1, False, "1 case"),
        (50, 1, 50, True, "50 cases found by these filters"),
        (10_000, 51, 100, False, "10,000 cases, 51 to 100 shown"),
    ],
)
def test_found_says_how_many_and_which(count: int, first: int, last: int, is_filtered: bool, expected: str) -> None:
    assert wording.found(count, first, last, is_filtered) == expected


@pytest.mark.parametrize(
    ("site", "side", "expected"),
    [("back", "left", "back, left"), ("back", "unknown", "back"), ("unknown", "left", "site unknown, left")],
)
def test_place(site: str, side: str, expected: str) -> None:
    assert patient_wording.place(site, side) == expected


@pytest.mark.parametrize(
    ("patient", "expected"),
    [
        (Patient("", 51.6, "female"), "52 years, female"),
        (Patient("", None, "male"), "male"),
        (Patient(), "age and sex unknown"),
    ],
)
def test_person(patient: Patient, expected: str) -> None:
    assert patient_wording.person(patient) == expected


def test_flagged_and_not_flagged_say_what_was_measured() -> None:
    assert saved.saved_verdict(FLAGGED) == ("**Flagged as possibly malignant** (malignant 30.0 %, threshold 25.0 %).")
    # Sensitivity 0.95: of 100 malignant images 5 were missed.
    assert saved.saved_verdict(NOT_FLAGGED).endswith(
        "That is not an all-clear: at this threshold 5 of 100 malignant test images were not flagged either."
    )
    # Specificity 0.8: of 100 benign images 20 were flagged.
    assert "flags 95 of 100 malignant images and 20 of 100 benign images" in saved.saved_meaning(FLAGGED)


def test_measured_rates_carry_interval_and_n(monkeypatch: pytest.MonkeyPatch) -> None:
    result = sample_result()
    sensitivity, specificity = (
        getattr(models.artifact().operating_points[0], name) for name in ("sensitivity", "specificity")
    )
    flagged = MeasuredRate(1 - specificity.value, 1 - specificity.high, 1 - specificity.low, specificity.n)
    for text in (saved.saved_meaning(result), report_wording.measured_meaning(result)):
        assert f"flags {of_100(sensitivity, 'malignant images')} and {of_100(flagged, 'benign images')}" in text
    # In the words of Review, and like there with an interval that is rounded outwards: 0.25 to 5.25 of 100 are 0 to 6.
    assert saved.saved_missed(result) == missed(SKIN, sensitivity)
    other = models.artifact().elsewhere(result.operating_point, result.threshold)
    assert elsewhere(SKIN, other, is_flagged=False) in saved.saved_verdict(replace(result, p_positive=0.0))
    flagged = saved.saved_meaning(replace(result, p_positive=1.0))
    assert elsewhere(SKIN, other, is_flagged=True) in flagged
    excised = models.artifact().confirmed_specificity(result.operating_point, result.threshold)
    assert excised is not None and confirmed(SKIN, excised) in flagged
    assert "At other clinics (ISIC 2017, locked part)" in report_wording.verdict(replace(result, p_positive=0.0))
    rates = (MeasuredRate(0.97, 0.9475, 0.9975, 290), specificity)
    monkeypatch.setattr(saved, "recorded_rates", lambda result: rates)
    assert "3 of 100 malignant test images (95 % interval 0 to 6, n = 290)" in saved.saved_missed(result)


def test_two_visits_are_compared_with_repeat_photographs_of_the_present_model_alone() -> None:
    result = sample_result()
    earlier, later = replace(result, p_positive=0.01), replace(result, p_positive=0.9)
    measured = models.artifact().repeats_around(0.455)
    assert saved.saved_beyond_repeats(earlier, later) == (
        f"The change of the malignant probability is {beyond_repeats(0.01, 0.9, measured)}."
    )
    assert "beyond" in saved.saved_beyond_repeats(earlier, later)
    assert "within" in saved.saved_beyond_repeats(later, replace(later, p_positive=0.88))
    assert saved.saved_beyond_repeats(replace(earlier, artifact_sha256="0" * 64), later) == ""


def test_rates_of_an_older_case_are_those_of_its_model_or_said_to_be_missing() -> None:
    result = sample_result()
    with np.load(io.BytesIO(result.evidence)) as arrays:
        file = io.BytesIO()
        np.savez_compressed(file, **{name: arrays[name] for name in arrays.files if name != "rates"})
    older = replace(result, evidence=file.getvalue())
    assert saved.saved_meaning(older) == saved.saved_meaning(result)
    for unknown in (replace(older, artifact_sha256="0" * 64), replace(older, threshold=0.5)):
        text = saved.saved_meaning(unknown)
        assert "interval and n were not kept with this case" in text and "n =" not in text


def test_a_rate_that_was_never_measured_is_no_number() -> None:
    unmeasured = replace(NOT_FLAGGED, sensitivity=math.nan, specificity=math.nan)
    assert "nan" not in f"{saved.saved_verdict(unmeasured)} {saved.saved_meaning(unmeasured)}".split()
    assert "could not be measured" in saved.saved_verdict(unmeasured)
    assert "fewer than 1 of 100" in saved.saved_missed(replace(NOT_FLAGGED, sensitivity=1.0))


def test_words_are_those_of_the_task() -> None:
    eye = made_up_result([0.1, 0.2, 0.3, 0.15, 0.25], RETINA)
    assert saved.saved_verdict(eye) == "**Flagged as possibly referable** (referable 70.0 %, threshold 25.0 %)."
    assert "flags 95 of 100 referable images and 20 of 100 not referable images" in saved.saved_meaning(eye)
    assert "measured on the locked test eyes of APTOS 2019" in saved.finds_and_flags(eye)
    assert "Moderate nonproliferative retinopathy (dr2)" in prediction_set(
        eye.task, eye.conformal_set, eye.conformal_level
    )
    assert wording.order_names(RETINA)["p_positive"] == "Referable by the AI"
    assert wording.timeline_heading(RETINA) == "This eye over time"


def test_users_texts_have_no_markup_meaning() -> None:
    typed = "*[a](http://b)* <script>"
    heading = wording.case_heading(replace(a_case(), saved_by=typed, patient=Patient(typed)))
    assert heading.count(escape(typed)) == 2 and typed not in heading


def test_changed_mind_compares_the_two_reads() -> None:
    case = replace(a_case(), decision=Decision("mel", "biopsy"))
    assert wording.changed_mind(replace(case, own_read=None)).startswith("No read before the AI")
    assert "same before and after" in wording.changed_mind(replace(case, own_read=Read("mel", "sure", "biopsy")))
    informed = replace(case, own_read=Read("nv", "sure", "biopsy", is_informed=True))
    assert "given after the answer had been shown" in wording.changed_mind(informed)
    assert wording.own_read_label(Read("nv", "sure", "biopsy", is_informed=True)) == "Own read"
    assert "was changed after" in wording.changed_mind(replace(case, own_read=Read("nv", "sure", "biopsy")))


def test_deletion_says_what_goes_and_what_stays() -> None:
    said = wording.deletion(a_case())
    assert "3 May 2026" in said and "image" in said and "cannot be undone" in said and "audit trail" in said


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        (datetime(2026, 1, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 23, tzinfo=UTC), "same day"),
        (datetime(2026, 1, 1, 23, tzinfo=UTC), datetime(2026, 1, 2, 1, tzinfo=UTC), "1 day"),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 3, tzinfo=UTC), "183 days"),
    ],
)
def test_days_between(earlier: datetime, later: datetime, expected: str) -> None:
    assert wording.days_between(earlier, later) == expected


@pytest.mark.parametrize(("earlier", "later", "expected"), [(0.1, 0.22, "+12"), (0.5, 0.47, "−3"), (0.1, 0.104, "0")])
def test_points_carry_their_sign(earlier: float, later: float, expected: str) -> None:
    assert wording.points(earlier, later) == expected


def test_answers_of_two_models_are_not_compared_without_a_word() -> None:
    assert wording.other_models(FLAGGED, NOT_FLAGGED) is None
    other = replace(NOT_FLAGGED, artifact_sha256="1" * 64, model_version="0.2")
    assert "no sign of change in the lesion" in (wording.other_models(FLAGGED, other) or "")
    assert wording.other_models(FLAGGED, replace(FLAGGED, preprocessing_version="2")) is not None
    informed = replace(FLAGGED, population=f"{FLAGGED.population}, given age 60, back")
    assert "takes age or body site into account" in (wording.other_models(FLAGGED, informed) or "")
    assert wording.other_models(informed, replace(informed, population="anybody, given age 61, back")) is None


def test_populations_are_told_once_where_they_are_the_same() -> None:
    assert wording.populations("a clinic", "a clinic") == "Both are calibrated for a clinic."
    assert wording.populations("a clinic", "a clinic, given age 60") == "Saved: a clinic. Now: a clinic, given age 60."


@pytest.mark.parametrize(
    ("count", "is_selection", "expected"),
    [
        (1, True, "1 selected case"),
        (3, True, "3 selected cases"),
        (1, False, "the case found"),
        (1200, False, "all 1,200 cases found"),
    ],
)
def test_export_of(count: int, is_selection: bool, expected: str) -> None:
    assert wording.export_of(count, is_selection) == expected
