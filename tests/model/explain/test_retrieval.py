"""How often the nearest lesions share the diagnosis: worked out by hand on four directions of a plane."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from data.tasks.skin import SKIN
from model.evaluation.results import to_plain
from model.explain.neighbours import NeighbourIndex, fit_index
from model.explain.retrieval import precision_at
from model.measures.intervals import Estimate
from model.measures.shares import wilson_interval
from tests.support.tiny_dataset import EMBEDDINGS, QUERY, four_directions, rows_of


@pytest.fixture
def index() -> NeighbourIndex:
    return fit_index(EMBEDDINGS, four_directions(), 2, SKIN.codes)


def wilson(share: float, n: float) -> Estimate:
    low, high = wilson_interval(np.array(share), np.array(n))
    return Estimate(pytest.approx(share), pytest.approx(float(low)), pytest.approx(float(high)))


def indices(*codes: str) -> np.ndarray:
    return np.array([SKIN.index(dx) for dx in codes], dtype=np.int64)


def test_precision_by_hand(index: NeighbourIndex) -> None:
    """Nearest two: of (4, 3) east (nv) and north (mel); of (-4, 3) west (nv) and north (mel); of (-4, -3) west and
    south (bcc)."""
    embeddings = np.array([[4, 3, 5], [-4, 3, 5], [-4, -3, 5]], dtype=np.float32)
    metrics = precision_at(index, embeddings, indices("nv", "mel", "mel"), np.array(["a", "b", "c"]), count=2)
    assert (metrics.count, metrics.images, metrics.lesions) == (2, 3, 3)
    of_class = {each.dx: each for each in metrics.per_class}
    assert tuple(of_class) == SKIN.codes
    assert (of_class["nv"].images, of_class["mel"].images, of_class["mel"].lesions) == (1, 2, 2)
    assert of_class["nv"].precision == wilson(0.5, 1)
    # One of two is mel, then none: 0.25, with squares about it of 0.125, times 2: 3 / 16 x 4 / 0.25 is 3 trials.
    assert of_class["mel"].precision == wilson(0.25, 3)
    assert [of_class[dx].chance for dx in ("nv", "mel", "bcc", "df")] == [0.5, 0.25, 0.25, 0.0]
    assert metrics.macro.value == pytest.approx((0.5 + 0.25) / 2)
    assert (metrics.macro.low, metrics.macro.high) == (0.0, 0.5)
    # Of the two classes that were asked about.
    assert metrics.macro_chance == pytest.approx((0.5 + 0.25) / 2)


def test_class_without_images_has_no_precision(index: NeighbourIndex) -> None:
    metrics = precision_at(index, QUERY[np.newaxis], indices("nv"), np.array(["a"]), count=1)
    bcc = metrics.per_class[SKIN.index("bcc")]
    assert (bcc.images, bcc.lesions, bcc.chance) == (0, 0, 0.25)
    assert all(math.isnan(value) for value in asdict(bcc.precision).values())
    plain = json.loads(json.dumps(to_plain(asdict(metrics)), allow_nan=False))
    assert plain["per_class"][SKIN.index("bcc")]["precision"] == {"value": None, "low": None, "high": None}
    assert plain["macro"]["value"] == 1.0


def test_no_images_at_all_have_no_precision(index: NeighbourIndex) -> None:
    metrics = precision_at(index, EMBEDDINGS[:0], indices(), np.array([], dtype=str), count=1, resamples=5)
    assert (metrics.images, metrics.lesions) == (0, 0)
    assert math.isnan(metrics.macro.value)
    assert math.isnan(metrics.macro_chance)


def test_shares_all_or_none_have_an_exact_bound(index: NeighbourIndex) -> None:
    # Three images of two lesions near east, which is nv; one near north, which is mel, not df.
    embeddings = np.array([[9, 1, 5], [9, 2, 5], [9, 3, 5], [1, 9, 5]], dtype=np.float32)
    lesion_ids = np.array(["a", "a", "b", "c"])
    metrics = precision_at(index, embeddings, indices("nv", "nv", "nv", "df"), lesion_ids, count=1)
    of_class = {each.dx: each.precision for each in metrics.per_class}
    # Two images of one and one of the other are worth 9 / 5 trials.
    assert asdict(of_class["nv"]) == pytest.approx({"value": 1, "low": 0.025 ** (5 / 9), "high": 1})
    assert asdict(of_class["df"]) == pytest.approx({"value": 0, "low": 0, "high": 0.975})


def test_own_lesion_is_left_out_of_the_neighbours(index: NeighbourIndex) -> None:
    # East asked about itself would find itself; without it, north comes first, and is no nv.
    own = precision_at(index, QUERY[np.newaxis], indices("nv"), np.array(["east"]), count=1)
    other = precision_at(index, QUERY[np.newaxis], indices("nv"), np.array(["new"]), count=1)
    assert (own.macro.value, other.macro.value) == (0.0, 1.0)


def test_images_of_a_lesion_that_agree_count_for_little_more_than_one(index: NeighbourIndex) -> None:
    # Lesion a: 1 and 1; lesion b: 0. Sums about 2 / 3: 2 / 3 and -2 / 3; 2 / 9 x 9 over twice 8 / 9 is 9 / 8 trials.
    embeddings = np.array([[9, 1, 5], [9, 2, 5], [1, 9, 5]], dtype=np.float32)
    metrics = precision_at(index, embeddings, indices("nv", "nv", "nv"), np.array(["a", "a", "b"]), count=1)
    precision = metrics.per_class[SKIN.index("nv")].precision
    assert precision == wilson(2 / 3, 9 / 8)


def test_chance_counts_lesions_not_images() -> None:
    embeddings = np.array([[2, 0], [2, 1], [2, -1], [-6, 0]], dtype=np.float32)
    index = fit_index(embeddings, rows_of(("a", "nv"), ("a", "nv"), ("a", "nv"), ("b", "mel")), 2, SKIN.codes)
    metrics = precision_at(index, embeddings[:1], indices("nv"), np.array(["c"]), count=10)
    of_class = {each.dx: each for each in metrics.per_class}
    assert (of_class["nv"].chance, of_class["mel"].chance) == (0.5, 0.5)
    # Only two lesions are there to be found: one of them is nv.
    assert of_class["nv"].precision.value == 0.5


def test_questions_that_do_not_fit_together_are_refused(index: NeighbourIndex) -> None:
    one, names = EMBEDDINGS[:1], np.array(["a"])
    with pytest.raises(ValueError, match="arrays of one length, received 1 and 2"):
        precision_at(index, one, indices("nv", "nv"), names)
    with pytest.raises(ValueError, match="arrays of one length, received 1 and 2"):
        precision_at(index, one, indices("nv"), np.array(["a", "b"]))
    for wrong in (-1, 7):
        with pytest.raises(ValueError, match="expected class indices from 0 to 6"):
            precision_at(index, one, np.array([wrong]), names)
    with pytest.raises(ValueError, match="expected at least 1 neighbour, received 0"):
        precision_at(index, one, indices("nv"), names, count=0)
