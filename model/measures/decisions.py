"""What a threshold is worth: counts of 1,000 images, and the net benefit of acting on what it flags.

Both are sums of sensitivity and specificity, times constants. Positive and negative images are of different groups, so
that the two vary independently, and the interval of their sum follows from theirs.

Source:
    Of the intervals see `model.measures.shares.weighted_sum`.
"""

from __future__ import annotations

from dataclasses import dataclass

from model.measures.intervals import Estimate
from model.measures.shares import weighted_sum


@dataclass(frozen=True)
class PerThousand:
    """What becomes of 1,000 images; each from 0 to 1,000, NaN where it cannot be said.

    Attributes:
        flagged: called positive; found and unneeded together.
        found: positive and flagged.
        missed: positive and not flagged.
        unneeded: negative and flagged.
    """

    flagged: Estimate
    found: Estimate
    missed: Estimate
    unneeded: Estimate


def per_thousand(sensitivity: Estimate, specificity: Estimate, prevalence: float) -> PerThousand:
    """What a threshold does with 1,000 images of which a share is positive.

    Assumes that sensitivity and specificity are the same there, which holds only for a like mix of cases.

    Args:
        sensitivity, specificity: of the threshold.
        prevalence: the share, in [0, 1].

    Raises:
        ValueError: a prevalence outside [0, 1].
    """
    _check_share(prevalence)
    positives, negatives = 1000 * prevalence, 1000 * (1 - prevalence)
    return PerThousand(
        flagged=weighted_sum(negatives, (positives, sensitivity), (-negatives, specificity)),
        found=weighted_sum(0.0, (positives, sensitivity)),
        missed=weighted_sum(positives, (-positives, sensitivity)),
        unneeded=weighted_sum(negatives, (-negatives, specificity)),
    )


def threshold_odds(threshold: float) -> float:
    """How many missed positives an unneeded action weighs as much as, for who acts from this probability on.

    Who acts at a probability of 10 % thinks that nine unneeded actions are no worse than one missed positive: 1 / 9.

    Raises:
        ValueError: a threshold outside [0, 1).

    Source:
        Pauker & Kassirer, N Engl J Med 1975;293:229, doi:10.1056/NEJM197507312930505.
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"expected a threshold from 0 and below 1, received {threshold}")
    return threshold / (1 - threshold)


def net_benefit(sensitivity: Estimate, specificity: Estimate, prevalence: float, odds: float) -> Estimate:
    """Positives found per image, less the unneeded actions, each weighed against a missed positive.

    Args:
        sensitivity, specificity: of the threshold that is acted on.
        prevalence: share of positives, in [0, 1].
        odds: what an unneeded action weighs, a missed positive being 1; at least 0, see `threshold_odds`.

    Returns:
        At most the prevalence; 0 is the benefit of never acting. NaN where a rate is.

    Raises:
        ValueError: a prevalence outside [0, 1] or odds below 0.

    Source:
        Vickers & Elkin, Med Decis Making 2006;26:565, doi:10.1177/0272989X06295361.
    """
    _check_share(prevalence)
    if odds < 0:
        raise ValueError(f"expected odds of at least 0, received {odds}")
    unneeded = (1 - prevalence) * odds
    return weighted_sum(-unneeded, (prevalence, sensitivity), (unneeded, specificity))


def net_benefit_of_all(prevalence: float, odds: float) -> float:
    """The net benefit of acting on every image: all positives are found, and all negatives acted on; see above."""
    certain = Estimate(1.0, 1.0, 1.0)
    return net_benefit(certain, Estimate(0.0, 0.0, 0.0), prevalence, odds).value


def _check_share(prevalence: float) -> None:
    if not 0 <= prevalence <= 1:
        raise ValueError(f"expected a prevalence from 0 to 1, received {prevalence}")
