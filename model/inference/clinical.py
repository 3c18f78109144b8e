"""Age and body site beside the image: they move the calibrated probabilities, and what is not known moves nothing.

The networks see the image alone. Each fact adds to the logarithm of every class's probability how much more or less
often the class was found in such patients than the image alone let expect, within the malignant and within the benign
classes. What both groups have stays as the image has it, and with it every flag: melanoma is rarer in young patients,
and must not be missed more often for that (docs/experiments.md). The terms are fitted on out-of-fold predictions
(`model.studies.clinical`). Sex is not among the facts: out of fold it added nothing. Nor is `dx_type`: how a diagnosis
was confirmed is known only afterwards.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from data.cases.case import SITES
from model.measures.metrics import Array, Indices, is_positive, softmax

UNKNOWN = "unknown"
MAX_AGE = 120  # years
# Bands in which measurements are given, lower end included.
AGE_LIMITS: tuple[int, ...] = (30, 45, 60, 75)
AGE_BANDS: tuple[str, ...] = ("under 30", "30 to 44", "45 to 59", "60 to 74", "75 and older")
# Between them the effect of age is linear, beyond them it stays.
AGE_KNOTS: tuple[float, ...] = (20.0, 35.0, 50.0, 65.0, 80.0)
# HAM10000's two clinics divide the torso differently, so that its parts would tell the clinic, not the place.
SITE_GROUPS: Mapping[str, str] = {
    **{site: site for site in SITES if site != UNKNOWN},
    **dict.fromkeys(("abdomen", "back", "chest", "trunk"), "trunk"),
}


@dataclass(frozen=True)
class PatientFacts:
    """What is known of a patient and where the lesion is; nothing is required.

    Attributes:
        age: years, 0 to 120; None if unknown.
        site: one of `data.cases.case.SITES`.

    Raises:
        ValueError: another age or site; the message names it.
    """

    age: float | None = None
    site: str = UNKNOWN

    def __post_init__(self) -> None:
        if self.age is not None and not 0 <= self.age <= MAX_AGE:
            raise ValueError(f"expected an age from 0 to {MAX_AGE} years, received {self.age}")
        if self.site not in SITES:
            raise ValueError(f"expected a site of {', '.join(SITES)}, received {self.site!r}")

    def __str__(self) -> str:
        """As a sentence would state them, empty where nothing is known: `age 60, lower extremity`."""
        age = [] if self.age is None else [f"age {self.age:g}"]
        return ", ".join([*age, *([self.site] if self.site != UNKNOWN else [])])

    @property
    def age_band(self) -> str:
        """The band of `AGE_BANDS` that the age falls into; `unknown` without an age."""
        return UNKNOWN if self.age is None else AGE_BANDS[bisect_right(AGE_LIMITS, self.age)]


NO_FACTS = PatientFacts()
# Stands between a population and the facts that an answer takes into account.
GIVEN = ", given "


@dataclass(frozen=True)
class ClinicalTerms:
    """What each fact adds to the log probabilities of the classes, in natural logarithms, a number for each class.

    Attributes:
        age: one row a knot of `AGE_KNOTS`; none where age tells nothing.
        site: by group of `SITE_GROUPS`.
        positives: class indices of the question's positive side; what both sides have together never moves.
    """

    age: tuple[tuple[float, ...], ...] = ()
    site: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    positives: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.age and len(self.age) != len(AGE_KNOTS):
            raise ValueError(f"expected a row for each of the {len(AGE_KNOTS)} ages, received {len(self.age)}")
        lengths = {len(row) for row in (*self.age, *self.site.values())}
        if len(lengths) > 1:
            raise ValueError(f"expected as many numbers in each row, one a class, received {sorted(lengths)}")

    def probabilities(self, probabilities: Array, facts: PatientFacts) -> Array:
        """Probabilities of the image and the facts, from calibrated ones of the image alone.

        Args:
            probabilities: (..., C) in class order, sum 1.
            facts: of the one patient they all belong to; without any, the probabilities come back as they are.

        Returns:
            (..., C) float64, sum 1; the positive classes together, and the negative ones, have what they had.
        """
        classes = probabilities.shape[-1]
        added = self._added(facts, classes)
        if not added.any():
            return probabilities
        moved = probabilities * np.exp(added)
        is_of_side = is_positive(np.arange(classes), self.positives)
        for side in (is_of_side, ~is_of_side):
            before, after = (one[..., side].sum(axis=-1, keepdims=True) for one in (probabilities, moved))
            moved[..., side] *= before / np.where(after > 0, after, 1.0)
        return moved

    def _added(self, facts: PatientFacts, classes: int) -> Array:
        added = np.zeros(classes)
        if facts.age is not None and self.age:
            added += _age_weights(np.array([facts.age]))[0] @ np.array(self.age)
        return added + np.array(self.site.get(SITE_GROUPS.get(facts.site, UNKNOWN), (0.0,) * classes))


NO_TERMS = ClinicalTerms()


def fit_terms(
    probabilities: Array, dx_true: Indices, facts: Sequence[PatientFacts], penalty: float, positives: tuple[int, ...]
) -> ClinicalTerms:
    """Fit the terms by penalised maximum likelihood: multinomial logistic regression with the image's answer as offset,
    of the malignant diagnoses among malignant lesions, and of the benign ones among benign lesions.

    Args:
        probabilities: (N, C) calibrated, in class order, of images no weight was trained on.
        dx_true: (N,) class indices, the reference.
        facts: N, of each image's patient.
        positives: class indices of the question's positive side, within which, and outside of which, the terms move.
        penalty: half of it times the sum of squared terms is added to the negative log likelihood of all images; a
            term that few images speak for stays near 0.

    Raises:
        ValueError: lengths that differ, no images, or a penalty that is not above 0.
    """
    if not len(probabilities) == len(dx_true) == len(facts) > 0:
        raise ValueError(
            "expected probabilities, diagnoses and facts of the same images, "
            f"received {len(probabilities)}, {len(dx_true)} and {len(facts)}"
        )
    if penalty <= 0:
        raise ValueError(f"expected a penalty above 0, received {penalty}")
    # Imported here: it takes two thirds of the start of a process that only serves.
    from scipy.optimize import minimize

    classes = probabilities.shape[1]
    sites = sorted({SITE_GROUPS[one.site] for one in facts if one.site != UNKNOWN})
    features = _features(facts, sites)
    truth = np.eye(classes)[dx_true]
    is_of_group = is_positive(dx_true, positives)[:, np.newaxis] == is_positive(np.arange(classes), positives)
    offsets = np.where(is_of_group, np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)), -np.inf)

    def loss(parameters: Array) -> tuple[float, Array]:
        terms = parameters.reshape(features.shape[1], classes)
        moved = softmax(offsets + features @ terms)
        likelihood = np.log(np.maximum(moved[np.arange(len(dx_true)), dx_true], np.finfo(np.float64).tiny)).sum()
        gradient = features.T @ (moved - truth) + penalty * terms
        return float(penalty * (terms**2).sum() / 2 - likelihood), gradient.ravel()

    found = minimize(loss, np.zeros(features.shape[1] * classes), jac=True, method="L-BFGS-B")
    rows = [tuple(float(value) for value in row) for row in found.x.reshape(-1, classes)]
    age, site = rows[: len(AGE_KNOTS)], rows[len(AGE_KNOTS) :]
    return ClinicalTerms(tuple(age), dict(zip(sites, site, strict=True)), positives)


def _features(facts: Sequence[PatientFacts], sites: Sequence[str]) -> Array:
    """(N, knots + sites): a row of zeros where nothing is known, so that such an image fits no term."""
    ages = _age_weights(np.array([np.nan if one.age is None else one.age for one in facts]))
    is_site = np.array([[SITE_GROUPS.get(one.site) == site for site in sites] for one in facts], dtype=np.float64)
    return np.concatenate([ages, is_site.reshape(len(facts), -1)], axis=1)


def _age_weights(ages: NDArray[np.float64]) -> Array:
    """(N, knots): the shares of the two nearest knots, sum 1; zeros for NaN."""
    weights = np.stack([np.interp(ages, AGE_KNOTS, knot) for knot in np.eye(len(AGE_KNOTS))], axis=1)
    return np.nan_to_num(weights, nan=0.0)
