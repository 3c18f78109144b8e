"""Exposure, contrast and sharpness worked out by hand; the gate on made-up embeddings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.artifact import QualityLimits
from model.preprocessing import RgbImage
from model.quality import REFUSED, Gate, Quality, assess, fit_gate, load_gate, measure

LIMITS = QualityLimits(min_sharpness=3, min_brightness=50, max_brightness=230, min_contrast=4, max_ood_score=2)


def filled(level: int) -> RgbImage:
    return np.full((12, 16, 3), level, dtype=np.uint8)


def checkerboard(dark: int = 0, bright: int = 255) -> RgbImage:
    grey = np.where(np.indices((12, 16)).sum(axis=0) % 2 == 0, dark, bright).astype(np.uint8)
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


def ramp() -> RgbImage:
    """10 grey levels a column, from 50 to 200: contrast without a single edge."""
    return np.broadcast_to(np.arange(50, 210, 10, dtype=np.uint8)[:, np.newaxis], (12, 16, 3)).copy()


# What is measured


def test_checkerboard_by_hand() -> None:
    # Each inner pixel differs from its four neighbours by 255: the Laplacian is 1020 or -1020, half of each.
    assert measure(checkerboard()) == pytest.approx((1020, 127.5, 127.5))


def test_flat_and_ramp_by_hand() -> None:
    assert measure(filled(90)) == pytest.approx((0, 90, 0))
    # A straight slope has no second difference. Sixteen steps of 10: deviation 10 x sqrt((16^2 - 1) / 12).
    assert measure(ramp()) == pytest.approx((0, 125, 10 * np.sqrt(255 / 12)))


def test_grey_weighs_the_channels_as_luma() -> None:
    image = filled(0)
    image[..., 1] = 200
    assert measure(image)[1] == pytest.approx(0.587 * 200)


# What is wrong with it


@pytest.mark.parametrize(
    ("image", "ood_score", "issues", "refusal"),
    [
        (checkerboard(100, 140), 1.0, (), None),
        (filled(0), 1.0, ("too_dark", "no_contrast", "blurred"), "too_dark"),
        (filled(255), 1.0, ("too_bright", "no_contrast", "blurred"), "too_bright"),
        (filled(120), 1.0, ("no_contrast", "blurred"), "no_contrast"),
        (ramp(), 1.0, ("blurred",), None),
        (checkerboard(100, 140), 2.1, ("out_of_distribution",), "out_of_distribution"),
        (ramp(), 9.0, ("out_of_distribution", "blurred"), "out_of_distribution"),
        (filled(0), 9.0, ("too_dark", "no_contrast", "out_of_distribution", "blurred"), "too_dark"),
    ],
    ids=["usable", "black", "white", "flat", "blurred", "foreign", "foreign and blurred", "black and foreign"],
)
def test_issues_worst_first(image: RgbImage, ood_score: float, issues: tuple[str, ...], refusal: str | None) -> None:
    before = image.copy()
    quality = assess(image, ood_score, LIMITS)
    assert quality.issues == issues
    assert quality.refusal == refusal
    assert quality.ood_score == ood_score
    np.testing.assert_array_equal(image, before)


def test_blurred_alone_is_answered() -> None:
    assert "blurred" not in REFUSED
    assert Quality(1, 100, 30, 1, ("blurred",)).refusal is None


def test_a_value_on_its_limit_is_no_issue() -> None:
    sharpness, brightness, contrast = measure(checkerboard(100, 140))
    on_the_limit = QualityLimits(sharpness, brightness, brightness, contrast, 1.5)
    assert assess(checkerboard(100, 140), 1.5, on_the_limit).issues == ()
    assert assess(checkerboard(100, 140), 1.5, replace(on_the_limit, max_ood_score=1.49)).issues == (
        "out_of_distribution",
    )


def test_score_that_is_not_a_number_is_refused() -> None:
    assert assess(checkerboard(100, 140), float("nan"), LIMITS).refusal == "out_of_distribution"
    assert assess(checkerboard(100, 140), float("inf"), LIMITS).refusal == "out_of_distribution"


# The gate


def test_gate_score_by_hand() -> None:
    gate = Gate(
        mean=np.array([1.0, 0, 0]),
        components=np.array([[1.0, 0], [0, 1], [0, 0]]),
        centres=np.array([[0.0, 0], [4, 0]]),
        precision=np.diag([1.0, 0.25]),
        distance_scale=2,
        residual_scale=3,
    )
    embeddings = np.array(
        [
            [1, 0, 0],  # on the first centre: 0
            [2, 0, 0],  # 1 from it: (1 / 2 + 0) / 2
            [5, 2, 0],  # 4 x 0.25 = 1 from the second: likewise
            [5, 0, 3],  # on the second centre, 9 from the plane: (0 + 9 / 3) / 2
            [3, 0, -3],  # half way, 4 from both: (4 / 2 + 9 / 3) / 2
        ]
    )
    assert gate.score(embeddings) == pytest.approx([0, 0.25, 0.25, 1.5, 2.5])


def embeddings_of(dx_true: np.ndarray, seed: int) -> np.ndarray:
    """Three classes around their own centres in the first 5 of 20 dimensions, a little noise in the others."""
    generator = np.random.default_rng(seed)
    spread = np.array([3.0] * 5 + [0.2] * 15)
    centres = np.zeros((7, 20))
    centres[1, 0], centres[4, 1], centres[5, 2] = 20, 20, 20
    return (centres[dx_true] + generator.normal(0, 1, (len(dx_true), 20)) * spread).astype(np.float32)


@pytest.fixture(scope="module")
def gate() -> Gate:
    dx_true = np.repeat([1, 4, 5], 300)
    return fit_gate(embeddings_of(dx_true, seed=1), dx_true, components=5)


def test_training_images_score_1_on_average(gate: Gate) -> None:
    dx_true = np.repeat([1, 4, 5], 300)
    assert gate.centres.shape == (3, 5)
    assert gate.score(embeddings_of(dx_true, seed=1)).mean() == pytest.approx(1)


def test_new_images_of_the_same_kind_score_about_1(gate: Gate) -> None:
    scores = gate.score(embeddings_of(np.repeat([1, 4, 5], 300), seed=2))
    assert scores.mean() == pytest.approx(1, abs=0.1)
    assert np.quantile(scores, 0.99) < 4


def test_outliers_score_high_within_and_beside_the_subspace(gate: Gate) -> None:
    within, beside = np.zeros((1, 20)), np.zeros((1, 20))
    within[0, 0] = -60
    beside[0, 1], beside[0, 10] = 20, 6  # on a centre, but 30 deviations out where training had only noise
    assert gate.score(within)[0] > 20
    assert gate.score(beside)[0] > 20
    assert gate.score(np.zeros((1, 20)) + 1000)[0] > 1000


def test_classes_without_images_leave_no_centre_at_zero(gate: Gate) -> None:
    """An absent class's centre must not stand in the middle, where it would let anything average pass."""
    middle = gate.mean[np.newaxis]
    # Each centre is 20 x sqrt(2 / 3) = 16.3 from the middle, 5.4 deviations: squared 29.6 against an average of 5.
    assert gate.score(middle)[0] > 2


def test_score_is_never_negative() -> None:
    # All dimensions are components, so every residual is rounding alone.
    dx_true = np.repeat([0, 1], 50)
    values = np.random.default_rng(5).normal(1e4, 1, (100, 4))
    assert (fit_gate(values, dx_true).score(values) >= 0).all()


def test_gate_survives_its_file(gate: Gate, tmp_path: Path) -> None:
    gate.save(tmp_path / "gate.npz")
    embeddings = embeddings_of(np.repeat([1, 4, 5], 10), seed=3)
    np.testing.assert_allclose(load_gate(tmp_path / "gate.npz").score(embeddings), gate.score(embeddings), rtol=1e-3)


def test_fitting_and_scoring_write_to_nothing_they_are_given(gate: Gate) -> None:
    dx_true = np.repeat([1, 4, 5], 30)
    embeddings = embeddings_of(dx_true, seed=4)
    before = embeddings.copy()
    fit_gate(embeddings, dx_true, components=5)
    gate.score(embeddings)
    np.testing.assert_array_equal(embeddings, before)
