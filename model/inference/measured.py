"""What a model was measured to do: rates with interval and n, thresholds, other clinics, repeat photographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from model.measures.intervals import Estimate, Groups
from model.measures.metrics import Booleans
from model.measures.shares import share_estimates

# Fewer pairs say nothing of what 95 of 100 stay within.
MIN_PAIRS = 100


@dataclass(frozen=True)
class MeasuredRate(Estimate):
    """A share measured on named images, its 95 % interval by lesion, and n, the images it is a share of (NaN if 0)."""

    n: int

    @property
    def of_others(self) -> MeasuredRate:
        """The share of the images that it does not count: missed of sensitivity, flagged of specificity."""
        return MeasuredRate(1 - self.value, 1 - self.high, 1 - self.low, self.n)


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on the probability of the question's positive side, and what it was measured to do on the locked test
    images.

    Attributes:
        name: key in settings and on screen, for example `sensitivity_95`.
        threshold: images with p(positive) >= threshold are flagged.
        target_sensitivity: what the threshold was chosen for, on the out-of-fold images.
        sensitivity, specificity, ppv, npv: measured on the locked test lesions.
    """

    name: str
    threshold: float
    target_sensitivity: float
    sensitivity: MeasuredRate
    specificity: MeasuredRate
    ppv: MeasuredRate
    npv: MeasuredRate


@dataclass(frozen=True)
class Outcome:
    """What became of the images of one kind at one threshold, end to end; the three shares sum to 1."""

    flagged: MeasuredRate
    not_flagged: MeasuredRate
    not_answered: MeasuredRate


def measured_rate(is_hit: Booleans, is_counted: Booleans, groups: Groups) -> MeasuredRate:
    """The share of the counted images that are hits, all (N,), with its interval by group; see `share_estimates`."""
    (share,) = share_estimates(is_hit[:, np.newaxis], is_counted[:, np.newaxis], groups)
    return MeasuredRate(**asdict(share), n=int(is_counted.sum()))


@dataclass(frozen=True)
class GroupRate(Estimate):
    """A share measured in one group of patients, with its 95 % interval.

    Attributes:
        attribute: `age` or `site`.
        group: an age band such as `30 to 44`, or a site.
        lesions: how many it was measured on.
    """

    attribute: str
    group: str
    lesions: int

    @property
    def of_others(self) -> Estimate:
        """The share of those that it does not count."""
        return Estimate(1 - self.value, 1 - self.high, 1 - self.low)


@dataclass(frozen=True)
class ExternalResult:
    """A threshold on labelled images of other clinics, see `model.studies.external`.

    Attributes:
        source: what those images are called.
        point, threshold: of the operating point.
        outcomes: by kind of image: `gravest`, `negative` and, where all classes are known, `positive`.
    """

    source: str
    point: str
    threshold: float
    outcomes: Mapping[str, Outcome]

    @property
    def positives(self) -> Outcome:
        """Of the images of the question's positive side, as far as the labels tell them."""
        return self.outcomes.get("positive", self.outcomes["gravest"])


@dataclass(frozen=True)
class Called:
    """Shares of the answered images of each side that a threshold calls rightly."""

    sensitivity: MeasuredRate
    specificity: MeasuredRate


@dataclass(frozen=True)
class EdgeResult:
    """A threshold on labelled images by how well the model knows their kind, see `model.studies.gate`.

    Attributes:
        point, threshold: of the operating point.
        inside, edge: images below and above the score from which on one lies at the edge.
    """

    point: str
    threshold: float
    inside: Called
    edge: Called


@dataclass(frozen=True)
class Repeats:
    """How far the probabilities of two photographs of one subject differ, see `model.studies.repeatability`.

    Attributes:
        low, high: of the level: the probability of one of the two, or the mean of both, lies in [low, high).
        share: of the pairs that stay within `difference`.
        difference: in [0, 1].
        pairs: how many were measured.
    """

    low: float
    high: float
    share: float
    difference: float
    pairs: int


def lowest_threshold(points: Sequence[OperatingPoint]) -> float:
    """From which probability on an image is flagged at one operating point at least; 1 where there is none."""
    return min((point.threshold for point in points), default=1.0)


def at_level(levels: Sequence[Repeats], p_positive: float) -> Repeats | None:
    """What was measured at a probability; None where too few pairs were."""
    # The last level holds 1 as well.
    found = next((one for one in reversed(levels) if one.low <= p_positive), None)
    return found if found is not None and found.pairs >= MIN_PAIRS else None
