"""From logits to calibrated probabilities, and from probabilities to a decision."""

from __future__ import annotations

from collections.abc import Sequence
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

    def logits(self, probabilities: Array, smallest: float = float(np.finfo(np.float64).tiny)) -> Array:
        """Logits that this calibration gives such probabilities, (..., C): the network's, less a number an image.

        Args:
            probabilities: (..., C), sum 1.
            smallest: what a probability of 0 counts as: half of the last decimal, where they were rounded.
        """
        return (np.log(np.maximum(probabilities, smallest)) - np.asarray(self.offsets)) * self.temperature

    def followed_by(self, second: Calibration) -> Calibration:
        """The calibration that gives what `second` makes of the logarithms of these probabilities."""
        return Calibration(
            temperature=self.temperature * second.temperature,
            offsets=tuple(
                first / second.temperature + added for first, added in zip(self.offsets, second.offsets, strict=True)
            ),
            population=second.population,
            prior=second.prior,
        )


def population_name(population: str) -> str:
    """Whose class shares probabilities hold for, in short: `HAM10000` of `HAM10000 (dermoscopy clinics in Vienna ...)`.

    Args:
        population: of a calibration or of an answer, whatever facts it takes into account.
    """
    return population.rpartition(" (")[0] or population


@dataclass(frozen=True)
class LabelledLogits:
    """Answers to labelled images of one source that no weight was trained on.

    Attributes:
        source: what the images are called.
        logits: (N, C).
        labels: (N, C): 1 for the class, 0 for those that the label tells it from, -1 for those that it leaves open
            (`model.training.recipe.labels`).
    """

    source: str
    logits: Array
    labels: NDArray[np.floating]

    def __post_init__(self) -> None:
        if len(self.logits) < 2 or self.logits.shape != self.labels.shape:
            raise ValueError(
                f"expected logits and labels of the same images, at least 2, received shapes {self.logits.shape} and "
                f"{self.labels.shape} of {self.source}; give more held-out images"
            )

    def log_loss(self, calibration: Calibration) -> float:
        """Mean negative log-likelihood of the labels, each among the classes that it tells apart, nats."""
        return self._log_loss(1 / calibration.temperature, np.asarray(calibration.offsets))

    def _log_loss(self, scale: float, offsets: Array) -> float:
        scaled = np.where(self.labels >= 0, self.logits * scale + offsets, -np.inf)
        peak = scaled.max(axis=1, keepdims=True)
        log_total = peak[:, 0] + np.log(np.exp(scaled - peak).sum(axis=1))
        return float(np.mean(log_total - scaled[self.labels > 0]))


def fit_calibration(
    held_out: Sequence[LabelledLogits], training_prior: Array, prior: Array, population: str
) -> Calibration:
    """Fit temperature and prior correction by maximum likelihood on images no weight was trained on.

    Of several sources, the one that loses most by not having a fit of its own loses as little as possible: where an
    image comes from is not known when it is uploaded.

    Args:
        held_out: one a source, the first with the population's class shares.
        training_prior: (C,) class shares the network saw in training.
        prior: (C,) class shares of the population.
        population: its name for the screen.

    Raises:
        ValueError: no source, or a class share of 0.

    Source:
        Guo et al., ICML 2017, arXiv:1706.04599 (temperature); Saerens, Latinne, Decaestecker, Neural Computation
        2002;14:21, doi:10.1162/089976602753284446 (prior correction); Agarwal and Zhang, COLT 2022, arXiv:2202.05436
        (the smallest largest regret over sources).
    """
    if not held_out:
        raise ValueError("expected held-out images of at least one source, received none")
    if np.any(training_prior <= 0) or np.any(prior <= 0):
        raise ValueError(
            f"expected every class to have a share above 0, received {training_prior} in training and {prior} in the "
            "population; choose images of every class"
        )
    # Imported here: it takes two thirds of the start of a process that only serves.
    from scipy.optimize import minimize

    log_ratio = np.log(prior) - np.log(training_prior)

    def losses(parameters: Array) -> Array:
        log_temperature, factor = parameters
        return np.array([part._log_loss(np.exp(-log_temperature), factor * log_ratio) for part in held_out])

    alone = [
        minimize(lambda parameters, part=part: losses(parameters)[part], x0=[0.0, 1.0], method="Nelder-Mead")
        for part in range(len(held_out))
    ]
    fitted = alone[0].x
    if len(alone) > 1:
        lowest = np.array([fit.fun for fit in alone])
        between = np.mean([fit.x for fit in alone], axis=0)
        fitted = minimize(lambda parameters: (losses(parameters) - lowest).max(), between, method="Nelder-Mead").x
    log_temperature, factor = fitted
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
