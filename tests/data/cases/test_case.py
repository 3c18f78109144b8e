"""The words of a case: what is refused, and what a case says of itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import uuid4

import numpy as np
import pytest

from data.cases import case as cases
from data.cases.case import (
    CERTAINTIES,
    LOCAL_ACTOR,
    MAX_OTHER,
    MAX_REFERENCE,
    MAX_TEXT,
    PLANS,
    ROLES,
    SEXES,
    SIDES,
    SITES,
    Biopsy,
    Case,
    CaseDraft,
    Decision,
    Lesion,
    ModelResult,
    Patient,
    Read,
    StoredImage,
    check_biopsy,
    check_decision,
    check_draft,
    check_dx,
    check_read,
    probabilities_of,
)
from data.datasets.ham10000 import load_counts
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import OTHER

RESULT = ModelResult(
    task=SKIN,
    model_name="skin",
    model_version="2.0",
    artifact_sha256="ab" * 32,
    preprocessing_version="1",
    probabilities=(0.05, 0.05, 0.1, 0.1, 0.2, 0.4, 0.1),
    population="nobody",
    prediction="nv",
    p_positive=0.3,
    conformal_set=("nv", "mel"),
    conformal_level=0.9,
    member_p_positive=(0.3,),
    quality="ok",
    ood_score=1.0,
    operating_point="sensitivity_95",
    threshold=0.3,
    sensitivity=0.95,
    specificity=0.6,
    heatmap_method="Grad-CAM",
    evidence=b"secret pixels",
    runtime_ms=5.0,
)
DRAFT = CaseDraft(uuid4(), "a.jpg", Patient(), Lesion(uuid4()), RESULT, None, Decision("nv", "biopsy"))


def case_with(own_read: Read | None, decision: Decision) -> Case:
    return Case(
        case_id=uuid4(),
        saved_at=datetime(2026, 1, 1, tzinfo=UTC),
        saved_by="anna",
        organisation="North",
        captured_name="a.jpg",
        patient=Patient(),
        lesion=Lesion(uuid4()),
        image_key=f"{uuid4()}.png",
        image_sha256="ab" * 32,
        image_width=9,
        image_height=8,
        result=RESULT,
        own_read=own_read,
        decision=decision,
        biopsy=None,
    )


def test_sites_are_those_of_ham10000_with_unknown_last() -> None:
    assert set(SITES) == set(load_counts()["localization"]) and SITES[-1] == "unknown"


def test_local_user_may_do_everything() -> None:
    assert LOCAL_ACTOR.role == "admin" and set(ROLES) == {"clinician", "researcher", "admin"}


@pytest.mark.parametrize("dx", SKIN.codes)
def test_every_dx_code_is_taken(dx: str) -> None:
    assert check_dx(dx, "", SKIN) == dx


@pytest.mark.parametrize("dx", ["", "NV", "nevus", "nv "])
def test_other_dx_codes_are_refused(dx: str) -> None:
    with pytest.raises(ValueError, match="expected a dx code"):
        check_dx(dx, "", SKIN)


@pytest.mark.parametrize("text", ["Merkel cell carcinoma", "a" * MAX_OTHER])
def test_what_is_none_of_the_classes_is_named(text: str) -> None:
    assert check_dx(OTHER, text, SKIN) == OTHER


@pytest.mark.parametrize(
    ("dx", "text", "message"),
    [
        (OTHER, "", "expected a text beside the code 'other'"),
        (OTHER, "  ", "expected a text beside the code 'other'"),
        ("mel", "SCC", "alone, received one beside 'mel'"),
        (OTHER, "a" * (MAX_OTHER + 1), "at most 200 characters, received 201"),
    ],
)
def test_text_stands_beside_other_and_nothing_else(dx: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_decision(Decision(dx, "biopsy", other=text), SKIN)
    with pytest.raises(ValueError, match=message):
        check_read(Read(dx, "sure", "biopsy", other=text), SKIN)
    with pytest.raises(ValueError, match=message):
        check_biopsy(Biopsy(dx, date(2026, 3, 3), other=text), SKIN)


@pytest.mark.parametrize(
    ("own", "decision", "has_changed"),
    [
        ((OTHER, "Spitz naevus"), (OTHER, "spitz Naevus"), False),
        ((OTHER, "Spitz naevus"), (OTHER, "SCC"), True),
        ((OTHER, "Spitz naevus"), ("nv", ""), True),
    ],
)
def test_another_diagnosis_is_compared_by_what_was_typed(
    own: tuple[str, str], decision: tuple[str, str], has_changed: bool
) -> None:
    read = Read(own[0], "sure", "biopsy", other=own[1])
    case = case_with(read, Decision(decision[0], "biopsy", other=decision[1]))
    assert case.has_changed_mind is has_changed and case.agrees_with_model is (decision[0] == "nv")


def test_every_word_of_the_lists_is_taken() -> None:
    for certainty in CERTAINTIES:
        for plan in PLANS:
            assert check_read(Read("nv", certainty, plan), SKIN).certainty == certainty
    for sex in SEXES:
        for side in SIDES:
            for site in SITES:
                check_draft(replace(DRAFT, patient=Patient(sex=sex), lesion=Lesion(uuid4(), site, side)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patient": Patient(sex="f")}, "a sex"),
        ({"patient": Patient(age=-0.1)}, "0 to 120"),
        ({"patient": Patient(age=120.1)}, "0 to 120"),
        ({"patient": Patient(age=float("nan"))}, "0 to 120"),
        ({"patient": Patient("x" * (MAX_REFERENCE + 1))}, "at most 100 characters, received 101"),
        ({"lesion": Lesion(uuid4(), site="elbow")}, "a site"),
        ({"lesion": Lesion(uuid4(), side="top")}, "a side"),
        ({"lesion": Lesion(uuid4(), note="x" * (MAX_TEXT + 1))}, "at most 2000 characters, received 2001"),
        ({"own_read": Read("xyz", "sure", "biopsy")}, "a dx code"),
        ({"own_read": Read("nv", "certain", "biopsy")}, "a certainty"),
        ({"own_read": Read("nv", "sure", "wait")}, "a plan"),
        ({"decision": Decision("xyz", "biopsy")}, "a dx code"),
        ({"decision": Decision("nv", "wait")}, "a plan"),
        ({"decision": Decision("nv", "biopsy", "x" * (MAX_TEXT + 1))}, "a reason"),
    ],
)
def test_draft_with_one_thing_wrong_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_draft(replace(DRAFT, **changes))  # type: ignore[arg-type]


def test_draft_at_the_limits_is_taken() -> None:
    for age in (None, 0.0, 120.0):
        draft = replace(DRAFT, patient=Patient("x" * MAX_REFERENCE, age), lesion=Lesion(uuid4(), note="x" * MAX_TEXT))
        assert check_draft(draft) == draft
    assert check_decision(Decision("nv", "biopsy", "x" * MAX_TEXT), SKIN).dx == "nv"


def test_biopsy_is_checked() -> None:
    biopsy = Biopsy("mel", date(2026, 1, 1), "x" * MAX_TEXT)
    assert check_biopsy(biopsy, SKIN) is biopsy
    with pytest.raises(ValueError, match="a dx code"):
        check_biopsy(replace(biopsy, dx="melanoma"), SKIN)
    with pytest.raises(ValueError, match="a note"):
        check_biopsy(replace(biopsy, note="x" * (MAX_TEXT + 1)), SKIN)


def test_codes_are_those_of_the_task() -> None:
    assert check_decision(Decision("dr2", "referral"), RETINA).dx == "dr2"
    for check in (
        lambda: check_decision(Decision("nv", "referral"), RETINA),
        lambda: check_read(Read("dr2", "sure", "referral"), SKIN),
        lambda: check_draft(replace(DRAFT, result=replace(RESULT, task=RETINA))),
    ):
        with pytest.raises(ValueError, match="a dx code"):
            check()


def test_message_of_a_text_that_is_too_long_does_not_repeat_it() -> None:
    with pytest.raises(ValueError) as error:
        check_draft(replace(DRAFT, patient=Patient("Anna Muster " * 20)))
    assert "Anna" not in str(error.value)


def test_flag_is_raised_at_the_threshold() -> None:
    assert RESULT.is_flagged
    assert not replace(RESULT, p_positive=0.2999).is_flagged


def test_case_says_whether_mind_changed_and_model_agrees() -> None:
    read = Read("mel", "sure", "biopsy")
    changed = case_with(read, Decision("nv", "biopsy"))
    assert changed.has_changed_mind is True and changed.agrees_with_model
    kept = case_with(read, Decision("mel", "biopsy"))
    assert kept.has_changed_mind is False and not kept.agrees_with_model
    assert case_with(None, Decision("mel", "biopsy")).has_changed_mind is None
    informed = case_with(Read("mel", "sure", "biopsy", is_informed=True), Decision("nv", "biopsy"))
    assert informed.has_changed_mind is None


def test_probabilities_are_doubles_in_dx_order() -> None:
    array = probabilities_of(RESULT)
    assert array.dtype == np.float64 and array.tolist() == list(RESULT.probabilities)


def test_image_and_evidence_are_not_shown() -> None:
    image = StoredImage(b"secret pixels", "ab" * 32, 9, 8)
    assert "secret" not in repr(image) + repr(RESULT) + repr(DRAFT)


def test_module_stores_nothing() -> None:
    assert not {"sqlite3", "sqlalchemy"} & set(vars(cases))
