"""What the Review page says of a threshold, at its edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dashboard.answer import wording as answer_wording
from dashboard.evaluation.studies.trust_wording import SET_METHODS
from dashboard.review import wording
from dashboard.review.state import Progress
from dashboard.shell.formats import escape, one_decimal, percent
from data.cases.case import Read
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from model.explain.maps import explanation_of
from model.images.framing import Framing
from model.inference.calibration import Calibration
from model.inference.classifier import Prediction
from model.inference.conformal import ADAPTIVE, CLASS_CONDITIONAL, METHODS, ConformalSets
from model.inference.measured import ExternalResult, GroupRate, MeasuredRate, OperatingPoint, Outcome, Repeats
from model.measures.intervals import Estimate
from tests.support.artifacts import artifact_with

RATE = MeasuredRate(0.9, 0.85, 0.95, 100)


def prediction(**shares: float) -> Prediction:
    probabilities = np.array([shares.get(dx, 0.0) for dx in SKIN.codes])
    malignant = float(probabilities[[0, 1, 4]].sum())
    in_set = tuple(dx for dx, share in shares.items() if share >= 0.05)
    members = np.array([malignant])
    return Prediction(SKIN, probabilities, "df", malignant, in_set, members, "a made-up clinic", "made-up", "1", "ab12")


def point(sensitivity: MeasuredRate, threshold: float = 0.034) -> OperatingPoint:
    return OperatingPoint("sensitivity_95", threshold, 0.95, sensitivity, RATE, RATE, RATE)


def test_just_below_the_threshold_is_not_three_percent_against_three() -> None:
    text = wording.verdict(prediction(mel=0.031, nv=0.969), point(RATE))
    assert "malignant 3.1 %, threshold 3.4 %" in text
    assert "not an all-clear" in text


def test_missing_none_is_said_with_its_upper_bound() -> None:
    text = answer_wording.missed(SKIN, MeasuredRate(1.0, 0.96, 1.0, 50))
    assert "fewer than 1 of 100 malignant test images (95 % interval 0 to 4, n = 50)" in text
    assert "n = 50" in text
    assert "10 of 100 malignant test images (95 % interval 5 to 15, n = 100)" in answer_wording.missed(
        SKIN, MeasuredRate(0.9, 0.85, 0.95, 100)
    )


def other_clinic(positives: int = 123) -> ExternalResult:
    """Of 123 melanomas 101 flagged, 14 not, 8 not answered."""
    rates = MeasuredRate(0.821, 0.748, 0.890, 123), MeasuredRate(0.114, 0.061, 0.175, 123)
    melanomas = Outcome(*rates, MeasuredRate(8 / 123, 0.024, 0.112, 123))
    positive = Outcome(*(replace(rate, n=positives) for rate in vars(melanomas).values()))
    benign = Outcome(MeasuredRate(0.56, 0.519, 0.6, 518), RATE, RATE)
    return ExternalResult(
        "ISIC 2017", "sensitivity_95", 0.034, dict(gravest=melanomas, positive=positive, negative=benign)
    )


def test_promise_is_about_the_patient_s_own_group_where_it_was_measured() -> None:
    unflagged = prediction(mel=0.031, nv=0.969)
    by_age = GroupRate(0.913, 0.7, 0.983, attribute="age", group="30 to 44", lesions=15)
    assert wording.verdict(unflagged, point(RATE), group=by_age).endswith(
        "at this threshold, of 100 malignant test images of this age (30 to 44), 9 (95 % interval 1 to 30, n = 15 "
        "lesions) were not flagged either."
    )
    by_site = replace(by_age, attribute="site", group="back")
    assert "malignant test images of this site (back), 9 (" in wording.verdict(unflagged, point(RATE), group=by_site)
    none_missed = replace(by_site, value=1.0, low=0.88, high=1.0)
    text = wording.verdict(unflagged, point(RATE), group=none_missed)
    assert "of this site (back), fewer than 1 (95 % interval 0 to 12, n = 15 lesions) were not flagged" in text


def test_promise_says_beside_it_what_other_clinics_saw() -> None:
    not_flagged = wording.verdict(prediction(mel=0.031, nv=0.969), point(RATE), other_clinic())
    assert not_flagged.endswith(
        "were not flagged either. At other clinics (ISIC 2017), of 100 melanomas, 11 (95 % interval 6 to 18) were not "
        "flagged and 7 (95 % interval 2 to 12) got no answer (n = 123)."
    )
    excised = Estimate(0.294, 0.242, 0.343)
    flagged = wording.measured_meaning(SKIN, point(RATE), excised, other_clinic(positives=130))
    assert flagged.endswith(
        "Of benign lesions that were biopsied or excised it flagged 71 of 100 (95 % interval 65 to 76). "
        "At other clinics (ISIC 2017) it flagged 82 of 100 malignant images (95 % interval 75 to 89, n = 130) and 56 "
        "of 100 benign images (95 % interval 52 to 60, n = 518)."
    )
    for text in (wording.verdict(prediction(nv=1.0), point(RATE)), wording.measured_meaning(SKIN, point(RATE))):
        assert text.endswith(".") and "other clinics" not in text


def test_repeat_photographs_are_rounded_up_and_named_where_they_were_measured() -> None:
    measured = Repeats(0.0, 0.02, 0.95, 0.1341, 367)
    assert answer_wording.repeats(SKIN, measured) == (
        "At this level, 95 of 100 repeat photographs of one lesion differ by up to 14 points (n = 367 comparisons)."
    )
    assert answer_wording.repeats(SKIN, None) == answer_wording.beyond_repeats(0.1, 0.9, None) == ""
    assert answer_wording.beyond_repeats(0.1, 0.2, measured) == "within what repeat photographs show (up to 14 points)"
    assert answer_wording.beyond_repeats(0.3, 0.1, measured) == "beyond what repeat photographs show (up to 14 points)"


def test_what_could_not_be_measured_is_said() -> None:
    nan = float("nan")
    assert "could not be measured" in answer_wording.missed(SKIN, MeasuredRate(nan, nan, nan, 0))
    assert "nan of" not in wording.verdict(prediction(nv=1.0), point(MeasuredRate(nan, nan, nan, 0)))


def test_flagged_image_leads_with_a_malignant_class() -> None:
    mixed = prediction(nv=0.9, mel=0.06, bcc=0.04)
    assert answer_wording.leading_class(mixed, is_flagged=True) == "mel"
    assert answer_wording.leading_class(mixed, is_flagged=False) == "nv"


def test_percents_never_round_to_certainty() -> None:
    assert [percent(share) for share in (0.0, 0.004, 0.5, 0.996, 1.0)] == ["0 %", "< 1 %", "50 %", "> 99 %", "100 %"]
    assert one_decimal(0.0344) == "3.4 %"


def test_user_text_loses_its_markdown_meaning() -> None:
    assert escape("a*b_c[d](e)<f>") == r"a\*b\_c\[d\]\(e\)\<f\>"


def test_prediction_set_names_every_class_and_its_level() -> None:
    two = answer_wording.prediction_set(SKIN, ("nv", "mel"), 0.9)
    assert two == "90 % set: Melanocytic nevus (nv), Melanoma (mel)."
    assert answer_wording.prediction_set(SKIN, ("mel",), 0.95) == "95 % set: Melanoma (mel)."


def test_set_of_an_earlier_version_that_leaves_out_the_flag_is_told() -> None:
    remark = answer_wording.set_without_flag(SKIN, ("nv",), is_flagged=True)
    assert remark is not None and "no malignant diagnosis" in remark and remark.endswith("the flag counts.")
    assert answer_wording.set_without_flag(SKIN, ("nv", "bcc"), is_flagged=True) is None
    assert answer_wording.set_without_flag(SKIN, ("nv",), is_flagged=False) is None


MEANING = (
    "The standout diagnosis is the one whose probability is highest for how common it is in HAM10000; it need not be "
    "the most likely one."
)


def test_most_likely_and_standout_are_two_names_and_the_difference_is_explained() -> None:
    mixed = prediction(nv=0.55, mel=0.39, bkl=0.06).probabilities
    assert answer_wording.both_names(SKIN, mixed, "mel", SKIN.dataset.population) == (
        f"Most likely: Melanocytic nevus (nv), 55 %. Standout diagnosis: Melanoma (mel), 39 %. {MEANING}"
    )
    clear = prediction(nv=0.9, mel=0.1).probabilities
    same = answer_wording.both_names(SKIN, clear, "nv", SKIN.dataset.population)
    assert same == "Most likely and standout diagnosis: Melanocytic nevus (nv), 90 %."
    grades = answer_wording.both_names(RETINA, [0.4, 0.3, 0.2, 0.1, 0.0], "dr1", RETINA.dataset.population)
    assert "Expected grade: Mild" in grades and "weighted by their probabilities" in grades


def test_a_flagged_image_is_headed_by_a_malignant_name_and_an_unflagged_one_by_the_most_likely() -> None:
    calibration = Calibration(1.0, (0.0,) * 7, "made up", tuple(0.1 if dx == "mel" else 0.15 for dx in SKIN.codes))
    artifact = artifact_with(calibration)
    mixed = replace(prediction(nv=0.55, mel=0.39, bkl=0.06), dx="mel")
    lines = wording.headline(mixed, artifact, is_flagged=True).split("  \n")
    assert lines[0] == "**Standout diagnosis:** Melanoma (mel), 39 %."
    assert lines[1] == "**Most likely:** Melanocytic nevus (nv), 55 %."
    assert lines[2] == f"{MEANING.replace('HAM10000', 'a made-up clinic')} Here it has 3.9 times its share (10 %)."
    assert wording.headline(mixed, artifact, is_flagged=False).startswith("**Most likely:** Melanocytic nevus")
    faint = replace(prediction(nv=0.5, vasc=0.4, bcc=0.1), dx="vasc")
    flagged = wording.headline(faint, artifact, is_flagged=True)
    assert flagged.startswith("**Most likely malignant diagnosis:** Basal cell carcinoma (bcc), 10 %.")


def test_standout_without_evidence_has_a_sentence_of_its_own() -> None:
    assert "all the same" in answer_wording.no_evidence(SKIN, "mel", named="mel")
    assert "all the same" not in answer_wording.no_evidence(SKIN, "mel", named="nv")


@pytest.mark.parametrize("method", [CLASS_CONDITIONAL, ADAPTIVE])
def test_every_method_of_sets_is_explained_with_its_level(method: str) -> None:
    assert "80 %" in wording.set_help(SKIN, ConformalSets(method, 0.8, (0.1,) * 7))


def test_what_sets_were_measured_to_hold() -> None:
    measured = {
        "images": 551,
        "coverage": {"value": 0.946, "low": 0.923, "high": 0.965},
        "mean_size": {"value": 2.69, "low": 2.56, "high": 2.82},
    }
    text = wording.set_meaning(SKIN, measured)
    assert "95 of 100 (95 % interval 92 to 96, n = 551 images)" in text
    assert "2.7 diagnoses on average" in text
    nothing = {"value": None, "low": None, "high": None}
    unmeasured = wording.set_meaning(SKIN, {"images": 0, "coverage": nothing, "mean_size": nothing})
    assert "could not be measured" in unmeasured


def test_predicted_class_outside_the_set_is_said() -> None:
    remark = wording.set_without_predicted(prediction(nv=0.9, df=0.04, mel=0.06))
    assert remark is not None and "Dermatofibroma (df)" in remark
    assert wording.set_without_predicted(prediction(nv=0.5, df=0.5)) is None


def test_agreement_is_the_span_of_the_networks() -> None:
    assert answer_wording.agreement(SKIN, np.array([0.3]), 0.2) is None
    agreed = answer_wording.agreement(SKIN, np.array([0.32, 0.23, 0.25]), 0.2)
    assert agreed is not None and agreed[1]
    assert "the 3 networks" in agreed[0] and "23 to 32 %" in agreed[0]
    alike = answer_wording.agreement(SKIN, np.array([0.271, 0.274]), 0.2)
    assert alike is not None and "put the malignant probability at 27 %." in alike[0]


@pytest.mark.parametrize(
    ("threshold", "is_one_side"), [(0.1, True), (0.2, True), (0.25, False), (0.3, False), (0.31, True)]
)
def test_networks_on_both_sides_of_the_threshold_disagree(threshold: float, is_one_side: bool) -> None:
    # 0.2 and 0.3: at 0.2 both are flagged, at 0.3 only one, above neither.
    agreement = answer_wording.agreement(SKIN, np.array([0.2, 0.3]), threshold)
    assert agreement is not None
    assert agreement[1] == is_one_side
    assert ("disagree" in agreement[0]) != is_one_side


def test_class_below_the_least_peak_shows_no_positive_evidence() -> None:
    framing = Framing(60, 80, False, 0, 0, 80, 60)
    maps = {"mel": np.full((2, 2), 3, np.float32), "nv": np.full((2, 2), 1, np.float32)}
    explanation = explanation_of("Grad-CAM", maps, framing, min_peak=2.0)
    assert answer_wording.heatmap_note(SKIN, explanation, "nv", "mel").startswith(
        "No positive evidence for Melanocytic nevus (nv)"
    )
    assert "Brighter" in answer_wording.heatmap_note(SKIN, explanation, "mel", "mel")


def test_every_method_of_prediction_sets_has_its_words() -> None:
    for method in METHODS:
        assert "90 %" in wording.set_help(SKIN, ConformalSets(method, 0.9, (0.1,) * 7))
        assert method in SET_METHODS


def test_queue_counts_what_was_saved_and_names_each_image_with_its_state() -> None:
    read = Progress(own_read=Read("nv", "sure", "follow-up"))
    progresses = [Progress(), read, Progress(is_skipped=True), Progress(is_refused=True)]
    assert wording.queue_position(2, progresses) == "Image **3 of 4**, 0 saved"
    entries = [wording.queue_entry(number, "*a*.jpg", one) for number, one in enumerate(progresses, start=1)]
    assert entries == ["1. *a*.jpg: open", "2. *a*.jpg: read", "3. *a*.jpg: read", "4. *a*.jpg: refused"]


def test_page_is_named_after_what_its_images_show() -> None:
    assert (wording.title(SKIN), wording.title(RETINA)) == ("Review a lesion", "Review an eye")
