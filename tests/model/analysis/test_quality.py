"""Exposure, contrast and sharpness worked out by hand; the gate on made-up textures and on real outside images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.analysis.analyzer import Analyzer
from model.analysis.quality import REFUSED, Gate, Quality, assess, fit_gate, load_gate, measure
from model.images.rejection import RgbImage
from model.inference.artifact import DEFAULT_ARTIFACT, QualityLimits, load_artifact
from model.inference.runtimes import LiteRTClassifier

LIMITS = QualityLimits(
    min_sharpness=3, min_brightness=50, max_brightness=230, min_contrast=4, max_ood_score=2, edge_ood_score=1.5
)


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
        (ramp(), 9.0, ("too_blurred",), "too_blurred"),
        (filled(0), 9.0, ("too_dark", "no_contrast", "too_blurred"), "too_dark"),
        (checkerboard(100, 140), 1.6, ("at_the_edge",), None),
        (ramp(), 1.6, ("blurred", "at_the_edge"), None),
    ],
    ids=[
        "usable",
        "black",
        "white",
        "flat",
        "blurred",
        "foreign",
        "foreign and blurred",
        "black and foreign",
        "at the edge",
        "at the edge and blurred",
    ],
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


def test_edge_begins_above_its_limit_and_nowhere_for_older_models() -> None:
    assert assess(checkerboard(100, 140), 1.5, LIMITS).issues == ()
    assert assess(checkerboard(100, 140), 2.0, LIMITS).issues == ("at_the_edge",)
    without_edge = QualityLimits(3, 50, 230, 4, 2)
    assert assess(checkerboard(100, 140), 2.0, without_edge).issues == ()


def test_score_that_is_not_a_number_is_refused() -> None:
    assert assess(checkerboard(100, 140), float("nan"), LIMITS).refusal == "out_of_distribution"
    assert assess(checkerboard(100, 140), float("inf"), LIMITS).refusal == "out_of_distribution"


# The gate


def test_gate_score_by_hand() -> None:
    gate = Gate(mean=np.array([1.0, 0]), scale=np.array([1.0, 2]), precision=np.diag([1.0, 0.25]))
    textures = np.array(
        [
            [1, 0],  # on the mean: 0
            [3, 0],  # 2 deviations along the first: 4 of 2 values
            [1, 8],  # 4 deviations along the second: 16 x 0.25 of 2 values
            [3, 8],  # both
        ]
    )
    assert gate.score(textures) == pytest.approx([0, 2, 2, 4])


def test_precision_by_hand() -> None:
    """Two values that always move together: the covariance is all ones, and 0.01 is added on its diagonal."""
    gate = fit_gate(np.array([[0.0, 10], [2, 30]]))
    assert gate.mean == pytest.approx([1, 20])
    assert gate.scale == pytest.approx([1, 10], abs=1e-5)
    assert np.linalg.inv(gate.precision) == pytest.approx(np.array([[1.01, 1], [1, 1.01]]), abs=1e-5)


def textures_of(images: int, seed: int) -> np.ndarray:
    """20 values of very different size, the first two of which move together."""
    generator = np.random.default_rng(seed)
    values = generator.normal(0, 1, (images, 20))
    values[:, 1] = values[:, 0] + 0.1 * values[:, 1]
    return (50 + values * np.geomspace(0.01, 100, 20)).astype(np.float32)


@pytest.fixture(scope="module")
def gate() -> Gate:
    return fit_gate(textures_of(900, seed=1))


def test_images_of_the_same_kind_score_about_1(gate: Gate) -> None:
    # The 0.01 on the diagonal makes the scores a little smaller than 1.
    assert gate.score(textures_of(900, seed=1)).mean() == pytest.approx(1, abs=0.05)
    scores = gate.score(textures_of(900, seed=2))
    assert scores.mean() == pytest.approx(1, abs=0.1)
    assert np.quantile(scores, 0.99) < 4


def test_outliers_score_high_in_size_and_in_combination(gate: Gate) -> None:
    far, torn = gate.mean[np.newaxis].copy(), gate.mean[np.newaxis].copy()
    far[0, 5] += 20 * gate.scale[5]
    torn[0, 0] += 2 * gate.scale[0]
    torn[0, 1] -= 2 * gate.scale[1]  # neither is unusual by itself, but they always move together
    assert gate.score(far)[0] > 15
    assert gate.score(torn)[0] > 15


def test_gate_wants_images() -> None:
    with pytest.raises(ValueError, match="at least 2 images, received 1"):
        fit_gate(textures_of(1, seed=0))


def test_gate_survives_its_file(gate: Gate, tmp_path: Path) -> None:
    gate.save(tmp_path / "gate.npz")
    textures = textures_of(30, seed=3)
    np.testing.assert_allclose(load_gate(tmp_path / "gate.npz").score(textures), gate.score(textures), rtol=1e-3)


def test_fitting_and_scoring_write_to_nothing_they_are_given(gate: Gate) -> None:
    textures = textures_of(90, seed=4)
    before = textures.copy()
    fit_gate(textures)
    gate.score(textures)
    np.testing.assert_array_equal(textures, before)


# The committed gate on images that are no lesions


@pytest.mark.parametrize("folder", ["everyday_photos", "aptos2019"])
def test_committed_gate_refuses_what_is_no_dermoscopic_image(shared_folder: Path, folder: str) -> None:
    """Every 40th (or 5th) of the outside images that nothing was chosen on: those at odd places by name."""
    paths = sorted(path for path in (shared_folder / folder).rglob("*") if path.suffix in (".jpg", ".png"))[1::2]
    chosen = paths[:: max(len(paths) // 45, 1)]
    analyzer = Analyzer(LiteRTClassifier(load_artifact(DEFAULT_ARTIFACT)))
    refused = [analyzer.run(path.read_bytes()).quality.refusal is not None for path in chosen]
    assert len(refused) >= 40
    assert np.mean(refused) >= 0.95
