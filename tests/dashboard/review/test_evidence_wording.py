"""What the panels below the answer say, at their edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dashboard.review import evidence_wording as wording
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from model.explain.neighbours import Neighbour
from model.explain.stress import StressOutcome, StressResult
from model.inference.classifier import Prediction

NAN = float("nan")


def prediction(dx: str, **shares: float) -> Prediction:
    probabilities = np.array([shares.get(code, 0.0) for code in SKIN.codes])
    return Prediction(SKIN, probabilities, dx, 0.5, (dx,), np.array([0.5]), "a made-up clinic", "made-up", "1", "ab12")


def neighbour(dx: str, age: float | None = 40.0, sex: str = "female", localization: str = "back") -> Neighbour:
    return Neighbour("ISIC_1", "HAM_1", dx, "histo", age, sex, localization, 0.125)


def stressed(*p_malignant: float, baseline: float = 0.3, threshold: float = 0.2) -> StressResult:
    outcomes = tuple(
        StressOutcome(f"key_{n}", f"Change {n}", p, "nv", p >= threshold, (p >= threshold) != (baseline >= threshold))
        for n, p in enumerate(p_malignant)
    )
    return StressResult(baseline, outcomes)


def test_one_in() -> None:
    assert wording.one_in(1 / 24) == "1 in 24"
    assert wording.one_in(0.00025) == "1 in 4,000"
    assert wording.one_in(2 / 3) == "1 in 1.5"
    assert wording.one_in(0.2) == "1 in 5"
    assert wording.one_in(1.0) == "1 in 1"
    assert wording.one_in(0.1001) == "1 in 10"
    assert wording.one_in(0.0) == "none"
    assert wording.one_in(NAN) == "an unknown share"


def test_flags_at_a_prevalence_carry_their_range() -> None:
    flagged = wording.flagged_at(SKIN, 0.2, 0.16, 0.25)
    assert flagged == "**Flagged:** 1 in 5 is malignant (1 in 6.2 to 1 in 4). PPV 20 % (16 to 25 %)."
    unflagged = wording.unflagged_at(SKIN, 0.98, 0.95, 1.0)
    assert "1 in 50 is malignant (1 in 20 to none)" in unflagged
    assert "NPV 98 % (95 to 100 %)" in unflagged


def test_what_nobody_measured_is_not_a_number() -> None:
    assert "cannot be said" in wording.flagged_at(SKIN, NAN, NAN, NAN)
    assert "cannot be said" in wording.unflagged_at(SKIN, NAN, NAN, NAN)
    # The low end alone may be without a flag to speak of.
    one_end = wording.flagged_at(SKIN, 0.2, NAN, 0.25)
    assert "an unknown share to 1 in 4" in one_end and "range unknown" in one_end


def test_share_inside_is_read_with_doubt_below_a_half() -> None:
    assert wording.inside_value(0.876) == "88 %"
    assert "doubt" in wording.inside_meaning(SKIN, 0.49)
    assert "doubt" not in wording.inside_meaning(SKIN, 0.51)
    assert wording.inside_value(NAN) == "–"
    assert "no lesion" in wording.inside_meaning(SKIN, NAN)


def test_a_heatmap_that_jumps_is_said_to() -> None:
    assert wording.stability_value(0.987) == "0.99"
    assert "do not read" in wording.stability_meaning(SKIN, -0.2)
    assert "do not read" not in wording.stability_meaning(SKIN, 0.9)
    assert wording.stability_value(NAN) == "–"
    assert "cannot be compared" in wording.stability_meaning(SKIN, NAN)


def test_contrast_starts_with_the_predicted_class_and_its_rival() -> None:
    assert wording.contrast_pair(prediction("bcc", bcc=0.3, nv=0.6, akiec=0.1)) == ("bcc", "nv")
    assert wording.contrast_pair(prediction("bcc", bcc=0.6, nv=0.1, akiec=0.3)) == ("bcc", "akiec")
    # A nevus is looked at for what would make it a melanoma, however improbable.
    assert wording.contrast_pair(prediction("nv", nv=0.9, bkl=0.1)) == ("mel", "nv")


def test_contrast_balance_divides_the_colour() -> None:
    difference = np.array([[1.0, 0.5], [-0.5, 0.0]], dtype=np.float32)
    assert wording.contrast_balance(difference, "mel", "nv") == "75 % of the colour favours mel, 25 % nv."
    assert "No part" in wording.contrast_balance(np.zeros((2, 2), np.float32), "mel", "nv")


def test_neighbour_facts_leave_nothing_out_silently() -> None:
    assert wording.neighbour_facts(neighbour("nv")) == "40 years, female, back"
    unknown = neighbour("nv", age=None, sex="unknown", localization="unknown")
    assert wording.neighbour_facts(unknown) == "age unknown, sex unknown, site unknown"
    assert wording.confirmed_by(neighbour("nv")) == "confirmed by histopathology"
    assert wording.neighbour_lines(SKIN, unknown)[1] == wording.neighbour_facts(unknown)


def test_of_a_task_that_takes_no_facts_only_what_is_known_is_said() -> None:
    stated = neighbour("nv", age=None, sex="unknown", localization="unknown")
    nothing = replace(stated, dx_type="unknown")
    assert wording.neighbour_lines(RETINA, nothing) == []
    assert wording.neighbour_lines(RETINA, replace(nothing, age=61.0, sex="male")) == ["61 years, male"]


def test_training_image_is_named() -> None:
    remark = wording.seen_in_training(SKIN, neighbour("mel"))
    assert "ISIC_1, Melanoma (mel), confirmed by histopathology" in remark
    assert "little about how they do on new lesions" in remark


def test_neighbours_of_another_diagnosis_are_remarked() -> None:
    cases = [neighbour(dx) for dx in ("bkl", "nv", "nv", "mel", "nv", "bkl")]
    assert wording.neighbours_disagree(SKIN, cases, "nv") is None
    remark = wording.neighbours_disagree(SKIN, cases, "mel")
    assert remark is not None
    assert "Melanocytic nevus (nv) (3 of 6)" in remark and "the standout diagnosis is Melanoma (mel)" in remark


def test_retrieval_is_said_beside_chance() -> None:
    measured = {
        "count": 10,
        "images": 551,
        "macro": {"value": 0.636, "low": 0.586, "high": 0.684},
        "macro_chance": 1 / 7,
    }
    text = wording.retrieval(SKIN, measured)
    assert "the 10 training lesions" in text
    assert "64 of 100 (95 % interval 59 to 68, n = 551 images)" in text
    assert "by chance 14 of 100" in text
    nothing = {"value": None, "low": None, "high": None}
    unmeasured = wording.retrieval(SKIN, {"count": 10, "images": 0, "macro": nothing, "macro_chance": None})
    assert "could not be measured" in unmeasured


def test_stress_range_includes_the_image_as_it_is() -> None:
    assert wording.stress_range(SKIN, stressed(0.35, 0.41)) == "Malignant **30 to 41 %** over 2 changes; 30 % as it is."


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((0.3, 0.2), "None of the 2 changes turns the decision at the threshold of 20.0 %"),
        ((0.3, 0.1), "1 of 2 changes turns the decision at the threshold of 20.0 %: Change 1."),
        ((0.0, 0.1), "2 of 2 changes turn the decision at the threshold of 20.0 %: Change 0; Change 1."),
    ],
)
def test_stress_flips_name_the_changes(answers: tuple[float, ...], expected: str) -> None:
    assert expected in wording.stress_flips(stressed(*answers), 0.2)


def test_a_decision_that_stays_is_no_proof() -> None:
    assert "no proof" in wording.stress_flips(stressed(0.3), 0.2)


def test_stress_table_starts_with_the_image_as_it_is() -> None:
    assert wording.stress_rows(stressed(0.1), 0.2, "mel") == [
        ("as it is", "30.0 %", "flagged", "mel"),
        ("Change 0", "10.0 %", "not flagged, turned", "nv"),
    ]
