"""How often the lesions nearest to an image share its diagnosis, beside how often any lesions would."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.explain.neighbours import NeighbourIndex
from model.measures.intervals import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    Estimate,
    Groups,
    bootstrap_weights,
    estimate_of,
)
from model.measures.metrics import Array, Indices, check_aligned, mean_of_finite
from model.measures.shares import share_estimates

NEIGHBOURS_MEASURED = 10


@dataclass(frozen=True)
class ClassRetrieval:
    """How often the lesions nearest to images of one class have that class.

    Attributes:
        dx: the class.
        images, lesions: how many were asked about.
        precision: mean share of the nearest lesions that have the class, in [0, 1]; NaN without images.
        chance: the same for lesions drawn at random from the index: the class's share of its lesions.
    """

    dx: str
    images: int
    lesions: int
    precision: Estimate
    chance: float


@dataclass(frozen=True)
class RetrievalMetrics:
    """How often the nearest lesions have the diagnosis of the image asked about, and how often by chance.

    Attributes:
        count: nearest lesions looked at for each image.
        images, lesions: how many were asked about.
        resamples, seed: of the bootstrap by lesion.
        macro: mean of the classes' precisions; NaN without images.
        macro_chance: mean of `chance` over the same classes.
        per_class: one a class, in class order.
    """

    count: int
    images: int
    lesions: int
    resamples: int
    seed: int
    macro: Estimate
    macro_chance: float
    per_class: tuple[ClassRetrieval, ...]


def precision_at(
    index: NeighbourIndex,
    embeddings: NDArray[np.floating],
    dx_true: Indices,
    lesion_ids: Groups,
    count: int = NEIGHBOURS_MEASURED,
    resamples: int = RESAMPLES,
    seed: int = BOOTSTRAP_SEED,
) -> RetrievalMetrics:
    """Share of the nearest lesions that have the image's diagnosis: each class's mean, and the mean of the classes.

    An image's own lesion is never among its neighbours. The intervals speak of other images to ask about, with the
    index as it is.

    Args:
        index: the training images.
        embeddings: (M, K) of the images to ask about.
        dx_true: (M,) class indices, the reference.
        lesion_ids: (M,) lesion of each image.
        count: nearest lesions to look at, at least 1.
        resamples: bootstrap samples of lesions, at least 1.
        seed: of the bootstrap.

    Raises:
        ValueError: lengths differ, a class index without a code, an embedding `nearest` refuses, or a count or
            resamples below 1.

    Source:
        Manning, Raghavan, Schuetze 2008, Introduction to Information Retrieval, section 8.4 (precision at k).
    """
    check_aligned(embeddings, dx_true)
    check_aligned(embeddings, lesion_ids)
    if not np.isin(dx_true, np.arange(len(index.codes))).all():
        raise ValueError(f"expected class indices from 0 to {len(index.codes) - 1}, received others")
    weights = bootstrap_weights(lesion_ids, resamples, seed)
    shares = _shares_alike(index, embeddings, dx_true, lesion_ids, count)
    is_class = dx_true[:, np.newaxis] == np.arange(len(index.codes))
    # The first row of ones is the images as they are; one bootstrap sample a row follows.
    drawn = np.vstack([np.ones((1, len(dx_true)), dtype=np.float32), weights])
    images = drawn @ is_class.astype(np.float32)
    means = (drawn @ (is_class * shares[:, np.newaxis])) / np.where(images > 0, images, np.nan)
    chances = _shares_of_lesions(index)
    macro = mean_of_finite(means, axis=1)
    precisions = share_estimates(np.repeat(shares[:, np.newaxis], len(index.codes), axis=1), is_class, lesion_ids)
    return RetrievalMetrics(
        count=count,
        images=len(dx_true),
        lesions=len(np.unique(lesion_ids)),
        resamples=resamples,
        seed=seed,
        macro=estimate_of(macro[0], macro[1:]),
        macro_chance=float(mean_of_finite(np.where(np.isfinite(means[0]), chances, np.nan))),
        per_class=tuple(
            ClassRetrieval(
                dx=dx,
                images=int(is_class[:, k].sum()),
                lesions=len(np.unique(lesion_ids[is_class[:, k]])),
                precision=precisions[k],
                chance=float(chances[k]),
            )
            for k, dx in enumerate(index.codes)
        ),
    )


def _shares_alike(
    index: NeighbourIndex, embeddings: NDArray[np.floating], dx_true: Indices, lesion_ids: Groups, count: int
) -> Array:
    """Share of each image's nearest lesions that have its diagnosis, (M,)."""
    return np.array(
        [
            np.mean([neighbour.dx == index.codes[dx] for neighbour in index.nearest(embedding, count, str(lesion_id))])
            for embedding, dx, lesion_id in zip(embeddings, dx_true, lesion_ids, strict=True)
        ],
        dtype=np.float64,
    )


def _shares_of_lesions(index: NeighbourIndex) -> Array:
    """Each class's share of the lesions in the index, (C,); a lesion counts by its first image."""
    _, first_of_lesion = np.unique(index.lesion_id, return_index=True)
    return np.mean(index.dx[first_of_lesion][:, np.newaxis] == np.array(index.codes), axis=0)
