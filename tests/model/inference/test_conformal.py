"""Prediction sets by hand: who is in, which threshold keeps the level, and what sets cover."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from data.tasks.skin import SKIN
from model.evaluation.results import to_plain
from model.inference.conformal import METHODS, ClassSets, ConformalSets, covering, cross_fit, fit_sets, measure_sets
from model.measures.intervals import Estimate
from model.measures.ordinal import without_gaps

MEL, NV = SKIN.index("mel"), SKIN.index("nv")
# Binary fractions, so that sums are exact: akiec, bcc, bkl, df, mel, nv, vasc.
PROBABILITIES = np.array([1 / 16, 1 / 16, 1 / 8, 0, 1 / 4, 1 / 2, 0])


def codes_in(sets: ConformalSets, probabilities: np.ndarray) -> tuple[str, ...]:
    return tuple(SKIN.codes[index] for index in sets.members(probabilities))


def mel_or_nv(*p_mel: float) -> np.ndarray:
    """One image a number: that probability of mel, the rest of nv."""
    probabilities = np.zeros((len(p_mel), 7))
    probabilities[:, MEL] = p_mel
    probabilities[:, NV] = 1 - probabilities[:, MEL]
    return probabilities


def all_of(dx: str, images: int) -> np.ndarray:
    return np.full(images, SKIN.index(dx))


def lesions(*images_per_lesion: int) -> np.ndarray:
    """Lesion of each image: lesions(2, 1) is L0, L0, L1."""
    return np.array([f"L{i}" for i, images in enumerate(images_per_lesion) for _ in range(images)], dtype=str)


def mel_threshold(p_mel: list[float], lesion_ids: np.ndarray, level: float) -> float:
    sets = fit_sets("class-conditional", mel_or_nv(*p_mel), all_of("mel", len(p_mel)), lesion_ids, level)
    return sets.thresholds[MEL]


def sets_of(*sizes: int) -> np.ndarray:
    """Sets of the first so many classes in dx order."""
    return np.arange(7) < np.array(sizes)[:, np.newaxis]


def is_nan(estimate: Estimate) -> bool:
    return all(math.isnan(bound) for bound in dataclasses.astuple(estimate))


@pytest.mark.parametrize(
    ("thresholds", "codes"),
    [
        ((0.0,) * 7, ("nv", "mel", "bkl", "akiec", "bcc", "df", "vasc")),
        ((0.125,) * 7, ("nv", "mel", "bkl")),
        # nv is the most probable, but has not reached its own threshold.
        ((1.0, 1.0, 0.1, 1.0, 0.2, 0.6, 1.0), ("mel", "bkl")),
        ((1.0,) * 7, ("nv",)),
    ],
)
def test_a_class_is_in_when_its_probability_reaches_its_threshold(
    thresholds: tuple[float, ...], codes: tuple[str, ...]
) -> None:
    sets = ConformalSets("class-conditional", 0.9, thresholds)
    assert codes_in(sets, PROBABILITIES) == codes
    assert sets.contains(PROBABILITIES).tolist() == [dx in codes for dx in SKIN.codes]


@pytest.mark.parametrize(
    ("threshold", "codes"),
    [
        # Each class with all that are not more probable: nv 1, mel 1/2, bkl 1/4, akiec and bcc 1/8, df and vasc 0.
        (1.0, ("nv",)),
        (0.5, ("nv", "mel")),
        (0.26, ("nv", "mel")),
        (0.25, ("nv", "mel", "bkl")),
        (0.125, ("nv", "mel", "bkl", "akiec", "bcc")),
        (0.0, ("nv", "mel", "bkl", "akiec", "bcc", "df", "vasc")),
    ],
)
def test_adaptive_sets_take_classes_by_falling_probability(threshold: float, codes: tuple[str, ...]) -> None:
    sets = ConformalSets("adaptive", 0.9, (threshold,) * 7)
    assert codes_in(sets, PROBABILITIES) == codes
    assert sets.contains(PROBABILITIES).tolist() == [dx in codes for dx in SKIN.codes]


@pytest.mark.parametrize(
    ("flagged_from", "codes"),
    [
        # akiec 1/16, bcc 1/16 and mel 1/4 together are 3/8.
        (0.376, ("nv",)),
        # Without melanoma 1/8 is left: one diagnosis raised the flag, or all three did.
        (0.375, ("nv", "mel")),
        (0.126, ("nv", "mel")),
        (0.125, ("nv", "mel", "akiec")),
        (0.0625, ("nv", "mel", "akiec", "bcc")),
    ],
)
def test_a_set_holds_why_an_image_is_flagged(flagged_from: float, codes: tuple[str, ...]) -> None:
    sets = ConformalSets("class-conditional", 0.9, (0.5,) * 7, SKIN.positives, flagged_from)
    assert codes_in(sets, PROBABILITIES) == codes
    assert np.array_equal(sets.contains(PROBABILITIES[np.newaxis])[0], sets.contains(PROBABILITIES))


def test_what_is_known_beside_the_image_takes_no_positive_class_out() -> None:
    sets = ConformalSets("class-conditional", 0.9, (0.25,) * 7, SKIN.positives, 0.9)
    image_alone = np.array([0.0, 0.1, 0.3, 0.0, 0.3, 0.3, 0.0])
    informed = np.array([0.0, 0.3, 0.6, 0.0, 0.1, 0.0, 0.0])
    assert sets.members(image_alone) == (SKIN.index("bkl"), MEL, NV)
    # Melanoma stays, the nevus goes, basal cell carcinoma comes.
    assert sets.members(informed, image_alone) == (SKIN.index("bkl"), SKIN.index("bcc"), MEL)


def test_grades_that_flag_leave_no_gap() -> None:
    sets = ConformalSets("contiguous", 0.9, (0.9,) * 5, (2, 3, 4), 0.25)
    probabilities = np.array([0.7, 0.04, 0.03, 0.03, 0.2])
    assert sets.contains(probabilities).tolist() == [True] * 5


@pytest.mark.parametrize("method", METHODS)
def test_a_set_is_never_empty(method: str) -> None:
    sets = ConformalSets(method, 0.9, (1.0,) * 7)
    # Stored with few decimals: the sum, and with it the conformity of nv, is below 1.
    probabilities = np.array([[0, 0, 0, 0, 0.3, 0.6999, 0], [0.2, 0.3, 0, 0.1999, 0, 0.3, 0]])
    assert sets.contains(probabilities).argmax(axis=1).tolist() == [NV, SKIN.index("bcc")]
    assert sets.contains(probabilities).sum(axis=1).tolist() == [1, 1]
    # bcc and nv are equal: the first in dx order.
    assert [codes_in(sets, row) for row in probabilities] == [("nv",), ("bcc",)]


@pytest.mark.parametrize("method", METHODS)
def test_any_number_of_leading_axes(method: str) -> None:
    probabilities = np.random.default_rng(1).dirichlet(np.ones(7), size=(2, 3))
    sets = ConformalSets(method, 0.9, (0.2,) * 7)
    contained = sets.contains(probabilities)
    assert (contained.shape, contained.dtype) == ((2, 3, 7), np.bool_)
    assert np.array_equal(contained[1, 2], sets.contains(probabilities[1, 2]))
    assert sets.contains(np.zeros((0, 7))).shape == (0, 7)


@pytest.mark.parametrize(
    ("lesion_count", "level", "expected"),
    [
        # Probabilities 0.01, 0.02, ... of n lesions; the k-th lowest keeps n + 1 - k, and 0.9 (n + 1) are to be kept.
        (9, 0.9, 0.01),  # 9 of 9
        (19, 0.9, 0.02),  # 18 of 19
        (20, 0.9, 0.02),  # 18.9: 19 of 20
        (29, 0.9, 0.03),  # 27 of 29
        (9, 0.5, 0.05),  # 5 of 9
        (8, 0.9, 0.0),  # 8.1 of 8 cannot be had
    ],
)
def test_the_threshold_keeps_the_level_of_one_lesion_more(lesion_count: int, level: float, expected: float) -> None:
    p_mel = [number / 100 for number in range(1, lesion_count + 1)]
    assert mel_threshold(p_mel, lesions(*[1] * lesion_count), level) == expected
    assert mel_threshold(p_mel[::-1], lesions(*[1] * lesion_count), level) == expected


def test_classes_have_thresholds_of_their_own_and_none_where_lesions_are_few() -> None:
    probabilities = mel_or_nv(*[0.3] * 9, *[0.4] * 9, 0.5)
    dx_true = np.concatenate([all_of("mel", 9), all_of("nv", 9), all_of("df", 1)])
    sets = fit_sets("class-conditional", probabilities, dx_true, lesions(*[1] * 19), 0.9)
    assert sets == ConformalSets("class-conditional", 0.9, (0.0, 0.0, 0.0, 0.0, 0.3, 0.6, 0.0))
    # Equal probabilities all pass.
    assert sets.contains(probabilities)[:9, MEL].all()


def test_a_lesion_counts_once_however_many_its_images() -> None:
    # To keep: 0.5 * 4 = 2 lesions of 3. As five independent images it would be 3 of 5, and the threshold 0.3.
    assert mel_threshold([0.9, 0.8, 0.3, 0.2, 0.1], lesions(1, 1, 3), 0.5) == 0.8
    assert mel_threshold([0.9, 0.8, 0.3, 0.2, 0.1], lesions(1, 1, 1, 1, 1), 0.5) == 0.3
    # Half of the third lesion is kept: 0.625 * 4 = 2.5.
    assert mel_threshold([0.9, 0.8, 0.3, 0.1], lesions(1, 1, 2), 0.625) == 0.3


def test_the_images_of_a_lesion_make_a_whole_one() -> None:
    # Seven sevenths are a hair less than 1 in floating point; with the next lesion they make the two to keep.
    assert mel_threshold([0.9] * 7 + [0.6, 0.5], lesions(7, 1, 1), 0.5) == 0.6


def test_the_images_of_a_lesion_need_not_stand_together() -> None:
    assert mel_threshold([0.3, 0.9, 0.2, 0.8, 0.1], np.array(["c", "a", "c", "b", "c"]), 0.5) == 0.8


def test_adaptive_threshold_by_hand() -> None:
    # Eight nevi on top (conformity 1), two melanomas behind nv (0.25 and 0.125). To keep: 0.8 * 11 = 8.8 of 10.
    probabilities = mel_or_nv(*[0.1] * 8, 0.25, 0.125)
    dx_true = np.concatenate([all_of("nv", 8), all_of("mel", 2)])
    sets = fit_sets("adaptive", probabilities, dx_true, lesions(*[1] * 10), 0.8)
    assert sets == ConformalSets("adaptive", 0.8, (0.25,) * 7)
    assert [codes_in(sets, row) for row in mel_or_nv(0.2, 0.3, 0.8)] == [("nv",), ("nv", "mel"), ("mel",)]


def test_rounded_probabilities_that_sum_to_more_than_1_make_no_threshold_above_1() -> None:
    probabilities = mel_or_nv(*[0.0] * 9)
    probabilities[:, MEL] = 0.0004
    assert fit_sets("adaptive", probabilities, all_of("nv", 9), lesions(*[1] * 9), 0.9).thresholds == (1.0,) * 7


@pytest.mark.parametrize("method", METHODS)
def test_without_images_every_class_is_in_every_set(method: str) -> None:
    sets = fit_sets(method, np.zeros((0, 7)), all_of("nv", 0), lesions(), 0.9)
    assert sets.thresholds == (0.0,) * 7
    assert sets.contains(mel_or_nv(0.0, 1.0)).all()


@pytest.mark.parametrize("method", METHODS)
def test_each_of_twenty_lesions_left_out_in_turn_is_covered_at_the_level(method: str) -> None:
    # The threshold is the second lowest of the other 19: the two lowest lesions are missed, 18 of 20 are covered.
    p_mel = np.random.default_rng(3).permutation(np.arange(1, 21)) / 50
    contained = cross_fit(method, mel_or_nv(*p_mel), all_of("mel", 20), lesions(*[1] * 20), np.arange(20), 0.9)
    assert np.flatnonzero(~contained[:, MEL]).tolist() == np.sort(np.argsort(p_mel)[:2]).tolist()


def test_coverage_of_new_lesions_is_the_level() -> None:
    # Diagnoses drawn from the probabilities; images of a lesion are alike. 1,500 lesions fit, 1,500 others measure.
    generator = np.random.default_rng(5)
    probabilities = generator.dirichlet(np.full(7, 0.5), size=3000)
    dx_true = (generator.random((3000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(0, 6)
    lesion_ids = lesions(*[1] * 3000)
    new = np.arange(3000) >= 1500
    for method in METHODS:
        sets = fit_sets(method, probabilities[~new], dx_true[~new], lesion_ids[~new], 0.9)
        metrics = measure_sets(sets.contains(probabilities[new]), dx_true[new], lesion_ids[new], SKIN.codes, 100)
        assert metrics.coverage.value == pytest.approx(0.9, abs=0.03)
        if method == "class-conditional":
            assert [row.coverage.value for row in metrics.coverage_by_dx] == pytest.approx([0.9] * 7, abs=0.08)


def test_folds_are_judged_by_the_thresholds_of_the_others() -> None:
    probabilities = mel_or_nv(*[0.9] * 9, *[0.2] * 9)
    folds = np.array(["a"] * 9 + ["b"] * 9)
    contained = cross_fit("class-conditional", probabilities, all_of("mel", 18), lesions(*[1] * 18), folds, 0.9)
    # Fold a by the threshold 0.2 of b: in. Fold b by the threshold 0.9 of a: out.
    assert contained[:, MEL].tolist() == [True] * 9 + [False] * 9
    # No image of the others: always in.
    assert np.delete(contained, MEL, axis=1).all()


def test_folds_that_cannot_judge_each_other_are_refused() -> None:
    probabilities, dx_true = mel_or_nv(0.1, 0.2), all_of("mel", 2)
    with pytest.raises(ValueError, match="at least two folds, received 1"):
        cross_fit("adaptive", probabilities, dx_true, lesions(1, 1), np.array([0, 0]), 0.9)
    with pytest.raises(ValueError, match="each lesion in one fold, received L0 in several"):
        cross_fit("adaptive", probabilities, dx_true, lesions(2), np.array([0, 1]), 0.9)
    with pytest.raises(ValueError, match="received 2 and 3"):
        cross_fit("adaptive", probabilities, dx_true, lesions(1, 1), np.array([0, 1, 1]), 0.9)


def test_metrics_by_hand() -> None:
    # akiec is held by every set, bcc by those of two and more, nv by those of six and more.
    dx_true = np.array([0, 0, 1, 1, 1, NV])
    metrics = measure_sets(
        sets_of(1, 3, 1, 2, 3, 2), dx_true, lesions(2, 1, 1, 1, 1), SKIN.codes, resamples=200, seed=1
    )
    assert (metrics.images, metrics.lesions) == (6, 5)
    assert metrics.coverage.value == pytest.approx(4 / 6)
    assert 0 <= metrics.coverage.low < 4 / 6 < metrics.coverage.high <= 1
    assert metrics.mean_size.value == 2.0
    assert metrics.mean_size.low < 2.0 < metrics.mean_size.high
    assert metrics.size_shares == pytest.approx((2 / 6, 2 / 6, 2 / 6, 0, 0, 0, 0))
    akiec, bcc, bkl, *_, nv, _ = metrics.coverage_by_dx
    # One lesion of one, none of one: the exact bounds leave nearly everything open.
    bound = pytest.approx(0.025)
    assert akiec == ClassSets("akiec", 2, 1, Estimate(1.0, bound, 1.0), 2.0)
    assert nv == ClassSets("nv", 1, 1, Estimate(0.0, 0.0, pytest.approx(0.975)), 2.0)
    assert (bcc.images, bcc.lesions, bcc.coverage.value, bcc.mean_size) == (3, 3, pytest.approx(2 / 3), 2.0)
    assert (bkl.images, bkl.lesions) == (0, 0)
    assert is_nan(bkl.coverage)
    assert math.isnan(bkl.mean_size)


def test_the_mean_size_has_an_interval_by_lesion() -> None:
    # Two lesions of ten images: a bootstrap sample has sizes of 1 only, of 3 only, or half and half.
    metrics = measure_sets(
        sets_of(*[1] * 10, *[3] * 10), all_of("akiec", 20), lesions(10, 10), SKIN.codes, resamples=100
    )
    assert metrics.mean_size == Estimate(2.0, 1.0, 3.0)


def test_metrics_of_no_images_are_nan() -> None:
    metrics = measure_sets(sets_of(), all_of("nv", 0), lesions(), SKIN.codes, resamples=3)
    assert (metrics.images, metrics.lesions) == (0, 0)
    assert is_nan(metrics.coverage)
    assert is_nan(metrics.mean_size)
    assert np.isnan(metrics.size_shares).all()
    assert all(is_nan(row.coverage) for row in metrics.coverage_by_dx)


def test_metrics_refuse_empty_sets_and_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="at least one class, received 1 empty sets"):
        measure_sets(sets_of(1, 0), all_of("nv", 2), lesions(1, 1), SKIN.codes)
    with pytest.raises(ValueError, match="received 2 and 1"):
        measure_sets(sets_of(1, 1), all_of("nv", 1), lesions(1, 1), SKIN.codes)
    with pytest.raises(ValueError, match="received 2 and 3"):
        measure_sets(sets_of(1, 1), all_of("nv", 2), lesions(1, 1, 1), SKIN.codes)


@pytest.mark.parametrize(
    ("method", "level", "thresholds", "message"),
    [
        (
            "raps",
            0.9,
            (0.1,) * 7,
            "expected a method of class-conditional, adaptive, prior-weighted, contiguous, "
            "contiguous-class-conditional, received 'raps'",
        ),
        ("adaptive", 1.0, (0.1,) * 7, "expected a level between 0 and 1, received 1.0"),
        ("adaptive", math.nan, (0.1,) * 7, "expected a level between 0 and 1, received nan"),
        ("adaptive", 0.9, (0.1,), "expected a threshold from 0 to 1 for each class"),
        ("adaptive", 0.9, (0.1,) * 6 + (math.nan,), "expected a threshold from 0 to 1 for each class"),
    ],
)
def test_sets_refuse_what_they_cannot_be(
    method: str, level: float, thresholds: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ConformalSets(method, level, thresholds)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.full(6, 1 / 6), r"expected 7 probabilities in the last axis, received shape \(6,\)"),
        (np.array(1.0), r"received shape \(\)"),
        (np.array([math.nan] + [0.1] * 6), "received NaN"),
    ],
)
def test_sets_refuse_what_are_no_probabilities(probabilities: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConformalSets("adaptive", 0.9, (0.1,) * 7).members(probabilities)


def test_fitting_refuses_what_cannot_be_fitted() -> None:
    probabilities, dx_true = mel_or_nv(0.1, 0.2), all_of("mel", 2)
    with pytest.raises(ValueError, match="received 'raps'"):
        fit_sets("raps", probabilities, dx_true, lesions(1, 1), 0.9)
    with pytest.raises(ValueError, match=r"received 0\b"):
        fit_sets("adaptive", probabilities, dx_true, lesions(1, 1), 0)
    with pytest.raises(ValueError, match="received NaN"):
        fit_sets("adaptive", probabilities * math.nan, dx_true, lesions(1, 1), 0.9)
    with pytest.raises(ValueError, match="received 2 and 1"):
        fit_sets("adaptive", probabilities, dx_true[:1], lesions(1, 1), 0.9)
    with pytest.raises(ValueError, match="received 2 and 3"):
        fit_sets("adaptive", probabilities, dx_true, lesions(1, 1, 1), 0.9)


def test_sets_and_metrics_survive_json() -> None:
    sets = fit_sets("adaptive", mel_or_nv(*[0.25] * 9), all_of("mel", 9), lesions(*[1] * 9), 0.9)
    stored = json.loads(json.dumps(to_plain(dataclasses.asdict(sets)), allow_nan=False))
    assert stored | {"positives": [], "flagged_from": 1.0} == stored
    assert (stored["method"], stored["level"], stored["thresholds"]) == ("adaptive", 0.9, [0.25] * 7)
    assert ConformalSets(stored["method"], stored["level"], tuple(stored["thresholds"])) == sets
    metrics = measure_sets(
        sets.contains(mel_or_nv(0.3, 0.1)), all_of("mel", 2), lesions(1, 1), SKIN.codes, resamples=20
    )
    stored = json.loads(json.dumps(to_plain(dataclasses.asdict(metrics)), allow_nan=False))
    assert (stored["images"], stored["coverage"]["value"], stored["mean_size"]["value"]) == (2, 0.5, 1.5)
    assert stored["size_shares"] == [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert stored["coverage_by_dx"][0] == {
        "dx": "akiec",
        "images": 0,
        "lesions": 0,
        "coverage": {"value": None, "low": None, "high": None},
        "mean_size": None,
    }


def test_prior_weighted_thresholds_follow_the_shares() -> None:
    # 12 nevi of probability 0.9 and 3 melanomas of 0.3, a lesion each. Shares 12 : 3, so weights 1 and 1/4;
    # conformity 0.9 for the nevi and 0.3 / 0.25 = 1.2 for the melanomas. At 0.90, 14.4 of 15 lesions must be kept:
    # all of them, so the common threshold is 0.9.
    nv, mel = SKIN.codes.index("nv"), SKIN.codes.index("mel")
    dx_true = np.array([nv] * 12 + [mel] * 3)
    probabilities = np.zeros((15, 7))
    probabilities[:12, nv], probabilities[:12, mel] = 0.9, 0.1
    probabilities[12:, nv], probabilities[12:, mel] = 0.7, 0.3
    lesions = np.array([f"L{number}" for number in range(15)])
    sets = fit_sets("prior-weighted", probabilities, dx_true, lesions, 0.90)
    assert sets.thresholds[nv] == pytest.approx(0.9)
    assert sets.thresholds[mel] == pytest.approx(0.225)
    assert sets.contains(probabilities)[:12, nv].all()
    assert sets.contains(probabilities)[12:, mel].all()
    assert not sets.contains(probabilities)[:12, mel].any()


def test_contiguous_sets_of_grades_have_no_gap_and_cover() -> None:
    generator = np.random.default_rng(3)
    probabilities = generator.dirichlet(np.ones(5), size=400)
    grades = np.array([generator.choice(5, p=row) for row in probabilities])
    ids = np.array([f"eye{number}" for number in range(400)])
    sets = fit_sets("contiguous", probabilities, grades, ids, 0.9)
    assert len(set(sets.thresholds)) == 1 and len(sets.thresholds) == 5
    contained = sets.contains(probabilities)
    assert contained[np.arange(400), grades].mean() >= 0.9
    for row in contained:
        inside = np.flatnonzero(row)
        assert len(inside) == inside[-1] - inside[0] + 1


def test_every_grade_is_covered_by_contiguous_sets_with_a_threshold_each() -> None:
    generator = np.random.default_rng(4)
    # The highest grade is rare, and given less than it deserves.
    probabilities = generator.dirichlet([4, 2, 2, 1, 0.3], size=2000)
    shares = probabilities * [1, 1, 1, 1, 3]
    grades = np.array([generator.choice(5, p=row / row.sum()) for row in shares])
    ids = np.array([f"eye{number}" for number in range(2000)])
    covered = {}
    for method in ("contiguous", "contiguous-class-conditional"):
        contained = fit_sets(method, probabilities, grades, ids, 0.9).contains(probabilities)
        assert np.array_equal(contained, without_gaps(contained))
        held = contained[np.arange(2000), grades]
        covered[method] = [held[grades == grade].mean() for grade in range(5)]
    assert covered["contiguous"][4] < 0.85
    assert min(covered["contiguous-class-conditional"]) >= 0.9


# --- One class covered wherever images come from ----------------------------------------------------------------------


def served_sets() -> ConformalSets:
    return ConformalSets("prior-weighted", 0.9, (0.5,) * 7)


def melanomas(lowest: float, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A source of melanomas, a lesion each, whose probabilities rise from `lowest` in steps of a hundredth."""
    return mel_or_nv(*(lowest + np.arange(count) / 100)), all_of("mel", count), lesions(*[1] * count)


@pytest.mark.parametrize(
    ("count", "left_out"),
    # Of 22 lesions that are each left out with 0.1, none is in 0.0985 of all draws; of 38, at most one in 0.0953.
    [(21, None), (22, 0), (37, 0), (38, 1)],
)
def test_class_is_covered_with_confidence_in_these_lesions(count: int, left_out: int | None) -> None:
    held = covering(served_sets(), MEL, [melanomas(0.05, count)])
    expected = 0.5 if left_out is None else 0.05 + left_out / 100
    assert held.thresholds[MEL] == pytest.approx(expected)
    assert [held.thresholds[index] for index in range(7) if index != MEL] == [0.5] * 6


def test_source_that_needs_it_most_decides_and_no_threshold_rises() -> None:
    assert covering(served_sets(), MEL, [melanomas(0.3, 22), melanomas(0.1, 22)]).thresholds[MEL] == pytest.approx(0.1)
    assert covering(served_sets(), MEL, [melanomas(0.7, 22)]).thresholds[MEL] == 0.5
    probabilities, _, ids = melanomas(0.05, 22)
    nevi = (probabilities, all_of("nv", 22), ids)
    assert covering(served_sets(), MEL, [nevi]) == served_sets()


def test_grades_have_no_class_of_their_own_to_cover() -> None:
    with pytest.raises(ValueError, match="a threshold for each class, received contiguous"):
        covering(ConformalSets("contiguous", 0.9, (0.5,) * 7), MEL, [melanomas(0.05, 22)])
