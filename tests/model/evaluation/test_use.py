"""What is learnt from use, against answers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest

from data.cases.case import Case, Read
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import OTHER
from model.evaluation.subgroups import MIN_LESIONS
from model.evaluation.use import COLUMNS, READERS, Share, Use, cohens_kappa, measure_use, use_table
from tests.support.case_log import made_up_refusal, made_up_result
from tests.support.use import NOON, made_up_case

RESAMPLES = 200


def measured(cases: list[Case]) -> Use:
    return measure_use(use_table(cases, SKIN), SKIN, resamples=RESAMPLES)


def counts(share: Share) -> tuple[int, int, int]:
    return share.hits, share.cases, share.lesions


def test_table_holds_what_is_measured_and_no_patient() -> None:
    case = made_up_case("mel", own=None, decision="bcc", biopsy="nv")
    table = use_table([case], SKIN)
    assert tuple(table.columns) == (*COLUMNS, *SKIN.codes)
    row = table.iloc[0]
    assert (row["prediction"], row["decision_dx"], row["biopsy_dx"]) == ("mel", "bcc", "nv")
    assert pd.isna(row["own_dx"]) and row["saved_at"] == NOON and row["model"] == "made-up 0.1"
    assert row[list(SKIN.codes)].to_numpy(dtype=float) == pytest.approx(case.result.probabilities)
    assert not {"patient 7", "anna@clinic.org", "a note", "IMG_1.jpg"} & set(map(str, row))


def test_reads_given_after_the_answer_are_left_out_of_every_comparison_and_counted() -> None:
    unaided = [made_up_case("mel", own="mel", decision="mel", biopsy="mel") for _ in range(12)]
    informed = [
        replace(case, own_read=Read("mel", "sure", "biopsy", is_informed=True))
        for case in (made_up_case("nv", own=None, decision="nv", biopsy="nv") for _ in range(3))
    ]
    with_them, without = measured(unaided + informed), measured(unaided)
    assert (with_them.informed_reads, without.informed_reads) == (3, 0)
    assert counts(with_them.before.share) == counts(without.before.share) == (12, 12, 12)
    assert counts(with_them.switches.switched) == (0, 12, 12)
    assert [rates.cases for rates in with_them.rates] == [15, 12, 15]
    assert counts(with_them.after.share) == (15, 15, 15)


def test_table_of_another_task_has_its_codes_and_refuses_skin() -> None:
    eye = replace(made_up_case(own=None, decision="dr3"), result=made_up_result([0.1, 0.2, 0.3, 0.15, 0.25], RETINA))
    table = use_table([eye], RETINA)
    assert tuple(table.columns) == (*COLUMNS, *RETINA.codes) and table["p_positive"][0] == pytest.approx(0.7)
    use = measure_use(
        pd.concat([table] * 12).assign(lesion_id=[str(n) for n in range(12)], biopsy_dx="dr4"), RETINA, 50
    )
    model, _, decision = use.rates
    # Flagged as referable, as the reader decided: both are right that dr4 is.
    assert model.sensitivity.estimate.value == decision.sensitivity.estimate.value == 1
    assert use.calibration.observed.estimate.value == 1
    with pytest.raises(ValueError, match="expected cases of the task retina, received one of skin"):
        use_table([eye, made_up_case()], RETINA)


def test_agreement_before_and_after_by_hand() -> None:
    cases = (
        [made_up_case("mel", own="mel", decision="mel") for _ in range(6)]
        + [made_up_case("nv", own="mel", decision="nv") for _ in range(4)]
        + [made_up_case("nv", own="nv", decision="nv") for _ in range(8)]
        + [made_up_case("mel", own="nv", decision="nv") for _ in range(2)]
        + [made_up_case("nv", own=None, decision="nv") for _ in range(5)]
    )
    use = measured(cases)
    assert counts(use.before.share) == (14, 20, 20)
    assert counts(use.after.share) == (6 + 4 + 8 + 5, 25, 25)
    assert use.before.share.estimate.value == pytest.approx(0.7)
    assert use.before.share.estimate.low < 0.7 < use.before.share.estimate.high
    # Own reads: mel 10, nv 10; answers: mel 8, nv 12. By chance (10 x 8 + 10 x 12) / 400 = 0.5; (0.7 - 0.5) / 0.5.
    assert use.before.kappa.value == pytest.approx(0.4)
    assert use.before.kappa.low < 0.4 < use.before.kappa.high


def test_kappa_of_chance_always_never_and_one_class_only() -> None:
    chance, always, never = np.ones((2, 2)), np.eye(2) * 3, np.array([[0, 2], [2, 0]])
    one_class, nothing = np.array([[5, 0], [0, 0]]), np.zeros((2, 2))
    kappas = cohens_kappa(np.array([chance, always, never, one_class, nothing], dtype=float))
    np.testing.assert_allclose(kappas, [0, 1, -1, np.nan, np.nan])


def test_switches_by_hand() -> None:
    def several(count: int, prediction: str, own: str, decision: str, biopsy: str) -> list[Case]:
        return [made_up_case(prediction, own, decision, biopsy) for _ in range(count)]

    cases = (
        several(12, "mel", "nv", "mel", "mel")  # to the model, to right
        + several(3, "mel", "nv", "nv", "mel")  # stays wrong
        + several(2, "mel", "nv", "bkl", "nv")  # elsewhere, from right
        + several(10, "nv", "nv", "nv", "nv")  # agreed and right
        + several(1, "nv", "nv", "mel", "nv")  # away from the model, from right
        + [made_up_case("mel", own=None, decision="nv", biopsy="mel")]
    )
    switches = measured(cases).switches
    assert counts(switches.switched) == (15, 28, 28)
    assert counts(switches.to_model) == (12, 17, 17)
    assert counts(switches.elsewhere) == (2, 17, 17)
    assert counts(switches.from_model) == (1, 11, 11)
    assert counts(switches.to_right) == (12, 15, 15)
    assert counts(switches.from_right) == (3, 13, 13)


def test_refused_images_are_counted_and_measured_nowhere() -> None:
    answered = [made_up_case("mel", own="mel", decision="mel", biopsy="mel") for _ in range(12)]
    refused = [replace(made_up_case(biopsy="mel"), result=made_up_refusal()) for _ in range(3)]
    use = measured(answered + refused)
    assert repr(replace(use, refused=0)) == repr(measured(answered)) and use.refused == 3  # NaN is not itself


def test_what_is_none_of_the_classes_is_one_more_diagnosis_and_has_no_side() -> None:
    cases = (
        [made_up_case("mel", own="mel", decision="mel", biopsy="mel") for _ in range(6)]
        + [made_up_case("nv", own="nv", decision="nv", biopsy="nv") for _ in range(6)]
        + [made_up_case("mel", own=OTHER, decision=OTHER, biopsy="mel") for _ in range(2)]  # no side: not called benign
        + [made_up_case("mel", own="nv", decision=OTHER, biopsy=OTHER) for _ in range(3)]  # no truth for any rate
    )
    use = measured(cases)
    assert counts(use.after.share) == (12, 17, 17)
    # Decisions: mel 6, nv 6, other 5; answers: mel 11, nv 6. By chance (6 x 11 + 6 x 6) / 17^2 = 102 / 289.
    assert use.after.kappa.value == pytest.approx((12 / 17 - 102 / 289) / (1 - 102 / 289))
    assert counts(use.other) == (5, 17, 17) and use.other_biopsies == 3
    assert counts(use.switches.switched) == (3, 17, 17) and counts(use.switches.to_right) == (3, 5, 5)
    assert (use.biopsied_cases, use.biopsied_lesions) == (14, 14)
    model, _, decision = use.rates
    assert counts(model.sensitivity) == (8, 8, 8) and counts(model.ppv) == (8, 8, 8)
    assert counts(decision.sensitivity) == (6, 6, 6) and counts(decision.npv) == (6, 6, 6)
    assert (decision.cases, decision.classes) == (14, 2)
    assert decision.balanced_accuracy.value == pytest.approx((6 / 8 + 1) / 2)
    assert counts(use.calibration.observed) == (8, 14, 14)


def test_readers_against_the_biopsy_by_hand() -> None:
    cases = (
        [made_up_case("mel", own="nv", decision="mel", biopsy="mel") for _ in range(12)]
        + [made_up_case("nv", own="bcc", decision="nv", biopsy="bcc") for _ in range(4)]  # missed by the model
        + [made_up_case("mel", own="nv", decision="nv", biopsy="nv") for _ in range(5)]  # flagged in vain
        + [made_up_case("nv", own="nv", decision="nv", biopsy="nv") for _ in range(15)]
        + [made_up_case("nv", own="mel", decision="mel") for _ in range(9)]  # no biopsy: not counted
    )
    use = measured(cases)
    assert (use.cases, use.biopsied_cases, use.biopsied_lesions) == (45, 36, 36)
    model, own, decision = use.rates
    assert tuple(rates.reader for rates in use.rates) == READERS
    assert [counts(rate)[:2] for rate in (model.sensitivity, model.specificity, model.ppv, model.npv)] == [
        (12, 16),
        (15, 20),
        (12, 17),
        (15, 19),
    ]
    assert [counts(rate)[:2] for rate in (own.sensitivity, own.specificity)] == [(4, 16), (20, 20)]
    assert [counts(rate)[:2] for rate in (decision.sensitivity, decision.specificity)] == [(12, 16), (20, 20)]
    # mel 12 of 12, bcc 0 of 4, nv 15 of 20.
    assert model.balanced_accuracy.value == pytest.approx((1 + 0 + 0.75) / 3)
    assert (model.classes, model.cases, model.lesions) == (3, 36, 36)
    # All of 20: an exact bound instead of an interval without width.
    assert own.specificity.estimate.low == pytest.approx(0.025 ** (1 / 20)) and own.specificity.estimate.high == 1


def test_model_calls_malignant_what_it_flagged_whatever_it_predicted() -> None:
    # Six other classes at 0.1 each, three of them malignant.
    cases = [made_up_case("nv", biopsy="mel", p_prediction=0.4) for _ in range(MIN_LESIONS)]
    assert cases[0].result.p_positive == pytest.approx(0.3) and cases[0].result.is_flagged
    assert counts(measured(cases).rates[0].sensitivity) == (10, 10, 10)
    assert counts(measured([*cases, made_up_case(p_prediction=0.9)]).flagged) == (10, 11, 11)


def test_calibration_by_hand() -> None:
    cases = [made_up_case("nv", biopsy=biopsy, p_prediction=0.8) for biopsy in ["mel"] * 4 + ["nv"] * 8] + [
        made_up_case("mel", biopsy=biopsy, p_prediction=0.7) for biopsy in ["mel"] * 11 + ["nv"]
    ]
    calibration = measured(cases).calibration
    # Three of the six others are malignant: 0.2 x 3 / 6; the prediction and two of the six others: 0.7 + 0.3 x 2 / 6.
    assert [each.stated for each in calibration.bins] == pytest.approx([0.1, 0.8])
    assert [counts(each.observed) for each in calibration.bins] == [(4, 12, 12), (11, 12, 12)]
    assert calibration.stated.value == pytest.approx(0.45)
    assert calibration.observed.estimate.value == pytest.approx(15 / 24)
    assert calibration.difference.value == pytest.approx(15 / 24 - 0.45)
    assert calibration.difference.low < calibration.difference.value < calibration.difference.high
    # Of the highest probability: 8 of 12 right at 0.8, 11 of 12 at 0.7.
    assert calibration.calibration_error.value == pytest.approx((abs(0.8 - 8 / 12) + abs(0.7 - 11 / 12)) / 2)


def test_cases_of_one_lesion_count_as_one_unit() -> None:
    one_each = [made_up_case("mel" if number % 2 else "nv", decision="nv") for number in range(40)]
    lesions = [uuid4() for _ in range(MIN_LESIONS)]
    four_each = [
        made_up_case("mel" if lesion % 2 else "nv", decision="nv", lesion_id=lesions[lesion])
        for lesion in range(MIN_LESIONS)
        for _ in range(4)
    ]
    narrow, wide = measured(one_each).after.share, measured(four_each).after.share
    assert counts(narrow) == (20, 40, 40) and counts(wide) == (20, 40, MIN_LESIONS)
    assert wide.estimate.high - wide.estimate.low > 1.5 * (narrow.estimate.high - narrow.estimate.low)


def test_too_few_lesions_make_no_rate() -> None:
    use = measured([made_up_case("mel", own="mel", decision="mel", biopsy="mel") for _ in range(MIN_LESIONS - 1)])
    assert counts(use.before.share) == (9, 9, 9)
    estimates = [use.before.share.estimate, use.before.kappa, use.rates[0].sensitivity.estimate, use.calibration.stated]
    estimates += [use.calibration.calibration_error, use.rates[0].balanced_accuracy]
    assert all(np.isnan([estimate.value, estimate.low, estimate.high]).all() for estimate in estimates)
    enough = measured([made_up_case("mel", own="mel", decision="mel", biopsy="mel") for _ in range(MIN_LESIONS)])
    assert enough.before.share.estimate.value == 1 and enough.rates[0].sensitivity.estimate.value == 1
    # One diagnosis makes no mean over diagnoses.
    assert np.isnan(enough.rates[0].balanced_accuracy.value)


def test_no_cases_and_no_biopsies_say_nothing_and_raise_nothing() -> None:
    for cases in ([], [made_up_case() for _ in range(12)]):
        use = measured(cases)
        assert (use.cases, use.biopsied_cases) == (len(cases), 0)
        assert counts(use.rates[0].sensitivity) == (0, 0, 0)
        assert np.isnan(use.calibration.stated.value) and use.calibration.bins == ()


def test_number_of_resamples_is_checked() -> None:
    with pytest.raises(ValueError, match="at least one bootstrap sample"):
        measure_use(use_table([made_up_case()], SKIN), SKIN, resamples=0)
