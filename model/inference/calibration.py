"""From logits to calibrated probabilities, and from probabilities to a decision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.measures.metrics import softmax
from model.measures.ordinal import nearest_grade

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Temperature and class offsets that turn logits into probabilities for one population.

    Attributes:
        temperature: logits are divided by it; above 1 the network was too sure.
        offsets: (C,) added to the divided logits: the log ratio of the population's class shares to those that training
            saw (which the sampler had changed), times a fitted factor.
        population: whose class shares the probabilities hold for, in words for the screen.
        prior: (C,) those class shares, sum 1.
    """

    temperature: float
    offsets: tuple[float, ...]
    population: str
    prior: tuple[float, ...]

    def probabilities(self, logits: Array) -> Array:
        """Calibrated probabilities, (..., C) float64 that sum to 1, of (..., C) logits."""
        return softmax(np.asarray(logits, dtype=np.float64) / self.temperature + np.asarray(self.offsets))


def fit_calibration(
    logits: Array, dx_true: NDArray[np.int64], training_prior: Array, prior: Array, population: str
) -> Calibration:
    """Fit temperature and prior correction by maximum likelihood on images no weight was trained on.

    Args:
        logits: (N, C) of held-out images with the population's class shares.
        dx_true: (N,) class indices.
        training_prior: (C,) class shares the network saw in training.
        prior: (C,) class shares of the population.
        population: its name for the screen.

    Raises:
        ValueError: fewer than 2 images, lengths that differ, or a class share of 0.

    Source:
        Guo et al., ICML 2017, arXiv:1706.04599 (temperature); Saerens, Latinne, Decaestecker, Neural Computation
        2002;14:21, doi:10.1162/089976602753284446 (prior correction).
    """
    if len(dx_true) < 2 or len(dx_true) != len(logits):
        raise ValueError(
            f"expected logits and diagnoses of the same images, at least 2, received {len(logits)} and {len(dx_true)}; "
            "give more held-out images"
        )
    if np.any(training_prior <= 0) or np.any(prior <= 0):
        raise ValueError(
            f"expected every class to have a share above 0, received {training_prior} in training and {prior} in the "
            "population; choose images of every class"
        )
    # Imported here: it takes two thirds of the start of a process that only serves.
    from scipy.optimize import minimize

    log_ratio = np.log(prior) - np.log(training_prior)
    rows = np.arange(len(dx_true))

    def negative_log_likelihood(parameters: Array) -> float:
        log_temperature, factor = parameters
        scaled = logits / np.exp(log_temperature) + factor * log_ratio
        peak = scaled.max(axis=1, keepdims=True)
        log_total = peak[:, 0] + np.log(np.exp(scaled - peak).sum(axis=1))
        return float(np.mean(log_total - scaled[rows, dx_true]))

    log_temperature, factor = minimize(negative_log_likelihood, x0=[0.0, 1.0], method="Nelder-Mead").x
    return Calibration(
        temperature=float(np.exp(log_temperature)),
        offsets=tuple(float(value) for value in factor * log_ratio),
        population=population,
        prior=tuple(float(value) for value in prior),
    )


def decide(probabilities: Array, prior: Array, is_ordinal: bool = False) -> NDArray[np.int64]:
    """The predicted class: of names, the one whose probability stands out most against its share of the population.

    argmax of probability / prior maximises balanced accuracy when the probabilities are calibrated: every class
    counts the same, however rare. argmax of the probability alone would answer `nv` to most melanomas that look
    undecided, because 67 of 100 images in HAM10000 are nevi. Of grades, it is the one nearest to the expected grade:
    a near miss costs less than a far one.

    Args:
        probabilities: (..., C) calibrated probabilities.
        prior: (C,) class shares of the population they are calibrated for.
        is_ordinal: the classes are grades, least first.

    Returns:
        (...) int64 class indices; the first in class order on a tie of names.

    Source:
        Menon et al., ICLR 2021, arXiv:2007.07314 (post-hoc logit adjustment).
    """
    if is_ordinal:
        return nearest_grade(probabilities)
    return np.argmax(probabilities / np.asarray(prior), axis=-1)
