"""Sentences on age and body site: what the answer takes into account, and what that was measured to add."""

from __future__ import annotations

from dashboard.review import facts_wording as wording
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from model.inference.clinical import NO_FACTS, PatientFacts
from tests.support.dashboard import made_up_studies


def test_answer_says_what_it_takes_into_account() -> None:
    assert wording.used(NO_FACTS, is_of_use=True) == "The answer is based on the image alone."
    both = PatientFacts(60, "acral")
    assert wording.used(both, is_of_use=True) == "The answer takes into account: age 60, palm or sole (acral)."
    assert wording.used(PatientFacts(60), is_of_use=True) == "The answer takes into account: age 60."


def test_a_model_without_terms_claims_nothing() -> None:
    assert wording.used(PatientFacts(60, "back"), is_of_use=False) == "Stated: age 60, back."
    assert wording.used(NO_FACTS, is_of_use=False) == "Nothing stated."
    assert wording.intro(None) == wording.NO_TERMS


def test_intro_names_the_gain_its_interval_and_where_it_comes_from() -> None:
    text = wording.intro(made_up_studies()["clinical"])
    assert "on the 42 locked test lesions: +1.5 points (+0.5 to +2.5)." in text and "never the malignant share" in text


def test_form_says_what_is_kept() -> None:
    assert "Age and body site: not stated. They can" in wording.kept(NO_FACTS, SKIN)
    assert "age 7.5" in wording.kept(PatientFacts(7.5), SKIN)
    assert wording.kept(NO_FACTS, RETINA) == "Age: not stated. It can be stated beside the answer."
