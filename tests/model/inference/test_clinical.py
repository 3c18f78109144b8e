"""Age and body site beside the image: neutral when unknown, and terms that recover what made the data."""

from __future__ import annotations

import numpy as np
import pytest

from data.tasks.skin import SKIN
from model.inference.clinical import (
    AGE_KNOTS,
    NO_FACTS,
    NO_TERMS,
    SITE_GROUPS,
    ClinicalTerms,
    PatientFacts,
    fit_terms,
)
from model.measures.metrics import positive_probability

BCC, MEL, NV = (SKIN.codes.index(dx) for dx in ("bcc", "mel", "nv"))
EVEN = np.full(7, 1 / 7)


def row(**added: float) -> tuple[float, ...]:
    return tuple(added.get(dx, 0.0) for dx in SKIN.codes)


IS_MALIGNANT = np.isin(np.arange(7), SKIN.positives)
TERMS = ClinicalTerms(
    positives=SKIN.positives,
    age=(row(nv=1.0), row(), row(), row(), row(mel=2.0)),
    site={"trunk": row(mel=1.0), "face": row(akiec=1.0)},
)


def test_facts_refuse_what_no_form_offers() -> None:
    for wrong in ({"age": -1}, {"age": 121}, {"age": float("nan")}, {"site": "arm"}):
        with pytest.raises(ValueError, match="expected"):
            PatientFacts(**wrong)  # type: ignore[arg-type]


def test_facts_read_as_a_sentence() -> None:
    assert str(PatientFacts(60.0, "lower extremity")) == "age 60, lower extremity"
    assert str(PatientFacts(site="back")) == "back"
    assert str(NO_FACTS) == ""


def test_unknown_facts_change_nothing_to_the_last_bit() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(7), 5)
    assert TERMS.probabilities(probabilities, NO_FACTS) is probabilities
    assert NO_TERMS.probabilities(probabilities, PatientFacts(60, "back")) is probabilities
    # A site that the terms do not know.
    assert TERMS.probabilities(probabilities, PatientFacts(site="hand")) is probabilities


def test_terms_add_to_the_log_probabilities_within_a_group() -> None:
    moved = TERMS.probabilities(EVEN, PatientFacts(80, "back"))
    # By hand: of the three malignant classes mel gets 2 + 1, the others nothing; the benign ones stay.
    assert moved[MEL] == pytest.approx(3 / 7 * np.exp(3) / (np.exp(3) + 2))
    np.testing.assert_allclose(moved[~IS_MALIGNANT], 1 / 7)
    assert moved.sum() == pytest.approx(1)


def test_malignant_share_never_moves() -> None:
    probabilities = np.random.default_rng(2).dirichlet(np.full(7, 0.3), 200)
    for facts in (PatientFacts(20, "face"), PatientFacts(80, "back"), PatientFacts(8), PatientFacts(site="face")):
        moved = TERMS.probabilities(probabilities, facts)
        assert np.abs(moved - probabilities).max() > 0.01
        np.testing.assert_allclose(
            positive_probability(moved, SKIN.positives), positive_probability(probabilities, SKIN.positives), atol=1e-12
        )


def test_group_that_the_image_rules_out_stays_out() -> None:
    benign = np.where(IS_MALIGNANT, 0.0, 0.25)
    moved = TERMS.probabilities(benign, PatientFacts(80, "face"))
    np.testing.assert_allclose(moved, benign)


def test_age_is_linear_between_the_knots_and_stays_beyond_them() -> None:
    def log_odds(age: float) -> float:
        moved = TERMS.probabilities(EVEN, PatientFacts(age))
        return float(np.log(moved[NV] / moved[SKIN.codes.index("bkl")]))

    assert log_odds(20) == pytest.approx(1.0)
    assert log_odds(5) == pytest.approx(1.0)
    assert log_odds(27.5) == pytest.approx(0.5)
    assert log_odds(35) == pytest.approx(0.0)


def test_parts_of_the_torso_are_one_place() -> None:
    assert {SITE_GROUPS[site] for site in ("abdomen", "back", "chest", "trunk")} == {"trunk"}
    assert SITE_GROUPS["face"] == "face" and "unknown" not in SITE_GROUPS


def test_a_certain_answer_stays_certain() -> None:
    certain = np.eye(7)[NV]
    np.testing.assert_array_equal(TERMS.probabilities(certain, PatientFacts(80, "back")), certain)


def test_several_answers_of_one_patient_move_alike() -> None:
    probabilities = np.random.default_rng(1).dirichlet(np.ones(7), (2, 3))
    facts = PatientFacts(70, "chest")
    moved = TERMS.probabilities(probabilities, facts)
    assert moved.shape == (2, 3, 7)
    np.testing.assert_allclose(moved[1, 2], TERMS.probabilities(probabilities[1, 2], facts))


def test_fit_recovers_the_terms_that_made_the_diagnoses() -> None:
    rng = np.random.default_rng(0)
    ages, sites = rng.uniform(20, 80, 20_000), rng.choice(["face", "foot"], 20_000)
    facts = [PatientFacts(age, site) for age, site in zip(ages, sites, strict=True)]
    images = rng.dirichlet(np.full(7, 5.0), len(facts))
    # The logarithm of the odds of mel rises by 2 from 20 to 80 years.
    truth = ClinicalTerms(
        age=tuple(row(mel=(knot - 20) / 30) for knot in AGE_KNOTS),
        site={"face": row(akiec=-1.0)},
        positives=SKIN.positives,
    )
    moved = np.array([truth.probabilities(image, known) for image, known in zip(images, facts, strict=True)])
    dx_true = np.array([rng.choice(7, p=share) for share in moved])
    fitted = fit_terms(images, dx_true, facts, penalty=1.0, positives=SKIN.positives)

    def log_odds(facts: PatientFacts) -> np.ndarray:
        moved = fitted.probabilities(EVEN, facts)
        return np.log(moved / moved[BCC])

    old, young = (log_odds(PatientFacts(age, "foot")) for age in (80, 20))
    assert old[MEL] - young[MEL] == pytest.approx(2.0, abs=0.3)
    face, foot = (log_odds(PatientFacts(50, site)) for site in ("face", "foot"))
    assert face[0] - foot[0] == pytest.approx(-1.0, abs=0.15)
    assert set(fitted.site) == {"face", "foot"}


def test_images_without_facts_fit_no_term() -> None:
    rng = np.random.default_rng(0)
    images = rng.dirichlet(np.ones(7), 100)
    fitted = fit_terms(images, rng.integers(0, 7, 100), [NO_FACTS] * 100, penalty=1.0, positives=SKIN.positives)
    assert not np.array(fitted.age).any() and not fitted.site


def test_a_heavy_penalty_leaves_nothing() -> None:
    rng = np.random.default_rng(0)
    facts = [PatientFacts(site=site) for site in rng.choice(["face", "foot"], 200)]
    fitted = fit_terms(
        rng.dirichlet(np.ones(7), 200), rng.integers(0, 7, 200), facts, penalty=1e9, positives=SKIN.positives
    )
    assert np.abs(np.array(list(fitted.site.values()))).max() < 1e-3


def test_fit_refuses_what_does_not_match() -> None:
    images = np.full((2, 7), 1 / 7)
    with pytest.raises(ValueError, match="same images"):
        fit_terms(images, np.array([0]), [NO_FACTS] * 2, 1.0, positives=SKIN.positives)
    with pytest.raises(ValueError, match="same images"):
        fit_terms(images[:0], np.array([], dtype=np.int64), [], 1.0, positives=SKIN.positives)
    with pytest.raises(ValueError, match="penalty"):
        fit_terms(images, np.array([0, 1]), [NO_FACTS] * 2, 0.0, positives=SKIN.positives)


def test_terms_refuse_rows_of_another_length() -> None:
    with pytest.raises(ValueError, match="one a class"):
        ClinicalTerms(site={"face": (1.0, 2.0), "back": (1.0, 2.0, 3.0)})
    with pytest.raises(ValueError, match="each of the 5 ages"):
        ClinicalTerms(age=(row(),))
