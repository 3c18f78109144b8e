"""What the Review page says of a read, a decision and a case that was or was not saved."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from dashboard.review import decision_wording as wording
from data.cases.case import Decision, Lesion, Patient, Read
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN

READ = Read("nv", "sure", "no follow-up")


def test_what_is_missing_is_named() -> None:
    assert wording.still_to_pick(["plan"]) == "Still to pick: plan."
    assert wording.still_to_pick(["diagnosis", "plan"]) == "Still to pick: diagnosis and plan."
    assert wording.still_to_pick(["diagnosis", "certainty", "plan"]) == "Still to pick: diagnosis, certainty and plan."


def test_own_read_is_told_as_it_was() -> None:
    assert "**Melanocytic nevus (nv)**, sure, no follow-up" in wording.own_read(READ, SKIN)
    assert "skipped" in wording.own_read(None, SKIN)


@pytest.mark.parametrize(
    ("dx", "read", "prediction", "expected"),
    [
        ("nv", READ, "nv", None),
        ("mel", READ, "mel", "Why does it differ from your own read?"),
        ("nv", READ, "mel", "Why does it differ from the AI's standout diagnosis?"),
        ("bcc", READ, "mel", "Why does it differ from your own read and the AI's standout diagnosis?"),
        ("bcc", None, "mel", "Why does it differ from the AI's standout diagnosis?"),
        (None, READ, "mel", None),
    ],
)
def test_a_reason_is_asked_for_where_the_diagnosis_differs(
    dx: str | None, read: Read | None, prediction: str, expected: str | None
) -> None:
    assert wording.reason_label(dx, read, prediction, SKIN) == expected


def test_user_text_is_escaped() -> None:
    assert r"\*\*now\*\*" in wording.decision(Decision("mel", "biopsy", "**now**"), SKIN)
    patient = Patient("<b>Q</b>", 61.0, "female")
    facts = wording.facts(patient, Lesion(UUID(int=1), "back", "left", "_old_"), SKIN)
    assert r"\<b\>Q\</b\>" in facts and r"61 years · female · back, left · Note: \_old\_" in facts
    unknown = wording.facts(replace(patient, reference="", age=None, sex="unknown"), Lesion(UUID(int=1)), SKIN)
    assert unknown == "age unknown · sex unknown · site unknown"
    assert wording.facts(patient, Lesion(UUID(int=1), side="left"), RETINA).endswith("61 years · female · left eye")
