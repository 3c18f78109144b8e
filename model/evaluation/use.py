"""What use teaches: how clinician and model agree, who moved whom, and who was right where a biopsy says.

Cases of one lesion are not independent, so every interval is by lesion (`model.measures`); cases are
counted all, also several of one lesion. Lesions of one patient count as independent, since a patient need not be named.
Biopsied cases are chosen for looking suspicious: sensitivity comes out too high and specificity too low of them
(verification bias, Begg & Greenes, Biometrics 1983;39:207, doi:10.2307/2530820).

What a reader or a biopsy names that is none of the task's classes counts as one more diagnosis, whatever its text, and
never as one of the classes. On which side of the task's question it lies is not known, so that rates leave it out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data.cases.case import Case
from data.tasks.task import OTHER, Task
from model.evaluation.subgroups import MIN_LESIONS
from model.measures.calibration import CalibrationError, calibration_error
from model.measures.intervals import (
    BOOTSTRAP_SEED,
    RESAMPLES,
    Estimate,
    Weights,
    bootstrap_weights,
    estimate_of,
    weighted_balanced_accuracy,
    weighted_confusion_matrices,
)
from model.measures.metrics import Array, Booleans, Indices, balanced_accuracy, bin_of_probability, confusion_matrix
from model.measures.shares import share_estimates

READERS: tuple[str, ...] = ("model", "own_read", "decision")
# Column of the table that holds a reader's dx code.
DX_COLUMNS: dict[str, str] = {"model": "prediction", "own_read": "own_dx", "decision": "decision_dx"}
# In front of the probabilities, one column a class.
COLUMNS: tuple[str, ...] = (
    "case_id",
    "saved_at",
    "lesion_id",
    "model",
    "artifact_sha256",
    "prediction",
    "is_refused",
    "is_flagged",
    "p_positive",
    "quality",
    "ood_score",
    "own_dx",
    "own_is_informed",
    "decision_dx",
    "biopsy_dx",
)
# Fewer than the 15 bins of the test set: a clinic has tens of biopsies, not thousands, and a bin needs lesions.
LIVE_BINS = 5
NOTHING = Estimate(math.nan, math.nan, math.nan)
NO_ERROR = CalibrationError(math.nan, math.nan, math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Share:
    """A share of cases, in [0, 1].

    Attributes:
        estimate: with its 95 % interval by lesion; NaN where fewer than `MIN_LESIONS` lesions are counted.
        hits, cases: the share is hits / cases.
        lesions: of the counted cases.
    """

    estimate: Estimate
    hits: int
    cases: int
    lesions: int


@dataclass(frozen=True)
class Agreement:
    """How often a reader's dx is the model's prediction, and Cohen's kappa, 0 for as often as by chance, 1 for always.

    `OTHER` is one more dx, which the model never gives.

    Kappa is NaN where the share cannot be said, and where both always name one and the same dx.
    """

    share: Share
    kappa: Estimate


@dataclass(frozen=True)
class Switches:
    """Decisions that differ from the reader's own read, and where they went.

    Attributes:
        switched: of the cases with an own read.
        to_model: of those in which the model said otherwise, decided as the model said.
        elsewhere: of the same, decided for a third dx.
        from_model: of those in which the own read was the prediction, decided otherwise.
        to_right: of the biopsied cases with a wrong own read, decided right.
        from_right: of the biopsied cases with a right own read, decided wrong.
    """

    switched: Share
    to_model: Share
    elsewhere: Share
    from_model: Share
    to_right: Share
    from_right: Share


@dataclass(frozen=True)
class ReaderRates:
    """A reader against the biopsy, on the task's yes/no question (for skin: malignant against benign).

    Attributes:
        reader: one of `READERS`; the model's yes is what it flagged at the threshold saved with the case.
        cases, lesions: biopsied cases of the task's classes that this reader has read; of those read as `OTHER`, the
            four rates are not.
        classes: how many of the task's classes the biopsies found.
        balanced_accuracy: mean sensitivity over those classes, `OTHER` being wrong; NaN for one class, or fewer than
            `MIN_LESIONS` lesions.
    """

    reader: str
    cases: int
    lesions: int
    classes: int
    sensitivity: Share
    specificity: Share
    ppv: Share
    npv: Share
    balanced_accuracy: Estimate


@dataclass(frozen=True)
class CalibrationBin:
    """Biopsied cases of similar p_positive: the mean stated, and the share that was positive."""

    stated: float
    observed: Share


@dataclass(frozen=True)
class LiveCalibration:
    """Stated probabilities against biopsies; NaN where fewer than `MIN_LESIONS` lesions have one.

    Attributes:
        stated: mean p_positive.
        observed: share that was positive.
        difference: observed - stated, in [-1, 1].
        calibration_error: of the highest probability, see `model.measures.metrics.expected_calibration_error`.
        bins: by p_positive, `LIVE_BINS` of one width, those without cases left out.
    """

    stated: Estimate
    observed: Share
    difference: Estimate
    calibration_error: CalibrationError
    bins: tuple[CalibrationBin, ...]


@dataclass(frozen=True)
class Use:
    """What the cases of a log say.

    Attributes:
        refused: cases of images that the model refused; nothing else here counts them.
        cases, lesions: how many were measured.
        informed_reads: own reads given after the answer had been shown; nothing here counts them as own reads.
        biopsied_cases, biopsied_lesions: those whose biopsy found one of the task's classes.
        other_biopsies: cases whose biopsy found something else; neither rates nor calibration count them.
        other: decisions for something else.
        flagged: p_positive at or above the threshold saved with the case.
        before: own read against prediction, of the cases with an own read.
        after: decision against prediction, of all cases.
        switches: from own read to decision.
        rates: one a reader, in the order of `READERS`.
        calibration: of the biopsied cases.
    """

    refused: int
    cases: int
    lesions: int
    informed_reads: int
    biopsied_cases: int
    biopsied_lesions: int
    other_biopsies: int
    other: Share
    flagged: Share
    before: Agreement
    after: Agreement
    switches: Switches
    rates: tuple[ReaderRates, ...]
    calibration: LiveCalibration


def use_table(cases: Iterable[Case], task: Task) -> pd.DataFrame:
    """What is measured of cases, one row a case, without their evidence, which would fill the memory.

    Args:
        cases: of one task.
        task: that task.

    Returns:
        Columns `COLUMNS` and the task's codes: saved_at in UTC, the ids as text, `model` as name and version,
        probabilities in [0, 1]; own_dx and biopsy_dx are None where there is none. own_dx is None, too, where the
        read was given after the answer had been shown, which `own_is_informed` says. Of a refused image, prediction
        and all probabilities are None or NaN, and it is not flagged.

    Raises:
        ValueError: a case of another task.
    """
    table = pd.DataFrame([_row(case, task) for case in cases], columns=[*COLUMNS, *task.codes])
    return table.assign(
        saved_at=pd.to_datetime(table["saved_at"], utc=True),
        is_refused=table["is_refused"].astype(bool),
        is_flagged=table["is_flagged"].astype(bool),
        own_is_informed=table["own_is_informed"].astype(bool),
        **{name: table[name].astype("float64") for name in ("p_positive", "ood_score", *task.codes)},
    )


def _row(case: Case, task: Task) -> tuple[object, ...]:
    result, answer = case.result, None if case.refusal else case.answered
    if case.task != task:
        raise ValueError(f"expected cases of the task {task.key}, received one of {case.task.key}")
    return (
        str(case.case_id),
        case.saved_at,
        str(case.lesion.lesion_id),
        f"{result.model_name} {result.model_version}",
        result.artifact_sha256,
        answer and answer.prediction,
        answer is None,
        answer is not None and answer.is_flagged,
        answer and answer.p_positive,
        result.quality,
        result.ood_score,
        None if case.own_read is None or case.own_read.is_informed else case.own_read.dx,
        case.own_read is not None and case.own_read.is_informed,
        case.decision.dx,
        None if case.biopsy is None else case.biopsy.dx,
        *(answer.probabilities if answer else [None] * len(task.classes)),
    )


def measure_use(table: pd.DataFrame, task: Task, resamples: int = RESAMPLES, seed: int = BOOTSTRAP_SEED) -> Use:
    """Everything in `Use`, of a table of `use_table` of this task or any selection of its rows.

    Raises:
        ValueError: fewer than one resample.
    """
    refused, table = int(table["is_refused"].sum()), table[~table["is_refused"]]
    weights = bootstrap_weights(_lesions(table), resamples, seed)
    is_other = table["biopsy_dx"] == OTHER
    biopsied = table[table["biopsy_dx"].notna() & ~is_other]
    biopsied_weights = bootstrap_weights(_lesions(biopsied), resamples, seed)
    return Use(
        refused=refused,
        cases=len(table),
        lesions=table["lesion_id"].nunique(),
        informed_reads=int(table["own_is_informed"].sum()),
        biopsied_cases=len(biopsied),
        biopsied_lesions=biopsied["lesion_id"].nunique(),
        other_biopsies=int(is_other.sum()),
        other=_share_of_all(table, table["decision_dx"] == OTHER),
        flagged=_share_of_all(table, table["is_flagged"]),
        before=_agreement(table, task, "own_read", weights),
        after=_agreement(table, task, "decision", weights),
        switches=_switches(table),
        rates=tuple(_reader_rates(biopsied, task, reader, biopsied_weights) for reader in READERS),
        calibration=_calibration(biopsied, task, biopsied_weights, resamples, seed),
    )


def measure_shares(table: pd.DataFrame, questions: Sequence[tuple[pd.Series, pd.Series]]) -> tuple[Share, ...]:
    """A share for each question.

    Args:
        table: N rows with lesion_id.
        questions: which rows are hits, and which are counted, each (N,) bool.
    """
    hits, counted = (np.column_stack([np.asarray(part[i], dtype=bool) for part in questions]) for i in (0, 1))
    estimates = share_estimates(hits, counted, _lesions(table))
    return tuple(
        _share(estimate, hits[:, k] & counted[:, k], table["lesion_id"][counted[:, k]])
        for k, estimate in enumerate(estimates)
    )


def _share_of_all(table: pd.DataFrame, is_hit: pd.Series) -> Share:
    return measure_shares(table, [(is_hit, is_hit | True)])[0]


def _share(estimate: Estimate, is_hit: Booleans, lesions: pd.Series) -> Share:
    return Share(_given_from(lesions.nunique(), estimate), int(is_hit.sum()), len(lesions), lesions.nunique())


def _given_from(lesions: int, estimate: Estimate) -> Estimate:
    """The estimate, or NaN where too few lesions made it (a convention of ours, see `model.evaluation.subgroups`)."""
    return estimate if lesions >= MIN_LESIONS else NOTHING


def _agreement(table: pd.DataFrame, task: Task, reader: str, weights: Weights) -> Agreement:
    dx = table[DX_COLUMNS[reader]]
    has_read = dx.notna()
    share = measure_shares(table, [(dx == table["prediction"], has_read)])[0]
    read = table[has_read]
    first, second = _indices(read[DX_COLUMNS[reader]], task), _indices(read["prediction"], task)
    classes = len(task.classes) + 1
    drawn = weighted_confusion_matrices(first, second, weights[:, has_read.to_numpy(dtype=bool)], classes)
    kappa = float(cohens_kappa(confusion_matrix(first, second, classes)[np.newaxis].astype(np.float64))[0])
    return Agreement(share, _given_from(share.lesions, estimate_of(kappa, cohens_kappa(drawn))))


def cohens_kappa(matrices: Array) -> Array:
    """Agreement beyond chance of two readers.

    Args:
        matrices: (B, C, C) counts, row the one reader's class, column the other's.

    Returns:
        (B,) kappa, at most 1; NaN for an empty matrix, or where both always name one class and chance alone gives 1.

    Source:
        Cohen, Educational and Psychological Measurement 1960;20:37, doi:10.1177/001316446002000104.
    """
    totals = matrices.sum(axis=(1, 2))
    n = np.where(totals > 0, totals, np.nan)
    observed = np.trace(matrices, axis1=1, axis2=2) / n
    by_chance = np.sum(matrices.sum(axis=1) * matrices.sum(axis=2), axis=1) / n**2
    # Not 1 - by_chance > 0: rounding may leave a trace of 1e-16 there.
    return (observed - by_chance) / np.where(by_chance < 1 - 1e-9, 1 - by_chance, np.nan)


def _switches(table: pd.DataFrame) -> Switches:
    own, decision, prediction, biopsy = (table[name] for name in ("own_dx", "decision_dx", "prediction", "biopsy_dx"))
    has_read, is_known = own.notna(), own.notna() & biopsy.notna()
    agreed, was_right = own == prediction, own == biopsy
    return Switches(
        *measure_shares(
            table,
            [
                (own != decision, has_read),
                (decision == prediction, has_read & ~agreed),
                ((decision != prediction) & (decision != own), has_read & ~agreed),
                (decision != own, has_read & agreed),
                (decision == biopsy, is_known & ~was_right),
                (decision != biopsy, is_known & was_right),
            ],
        )
    )


def _reader_rates(biopsied: pd.DataFrame, task: Task, reader: str, weights: Weights) -> ReaderRates:
    has_read = biopsied[DX_COLUMNS[reader]].notna()
    read, drawn = biopsied[has_read], weights[:, has_read.to_numpy(dtype=bool)]
    is_positive, has_side = read["biopsy_dx"].isin(task.question.positives), read[DX_COLUMNS[reader]] != OTHER
    is_called = read["is_flagged"] if reader == "model" else read[DX_COLUMNS[reader]].isin(task.question.positives)
    is_correct = is_positive == is_called
    sensitivity, specificity, ppv, npv = measure_shares(
        read, [(is_correct, has_side & of) for of in (is_positive, ~is_positive, is_called, ~is_called)]
    )
    truth, predicted = _indices(read["biopsy_dx"], task), _indices(read[DX_COLUMNS[reader]], task)
    accuracy = estimate_of(
        balanced_accuracy(truth, predicted, len(task.classes) + 1),
        weighted_balanced_accuracy(truth, predicted, drawn, len(task.classes) + 1),
    )
    lesions, classes = read["lesion_id"].nunique(), read["biopsy_dx"].nunique()
    mean_sensitivity = _given_from(lesions, accuracy) if classes > 1 else NOTHING
    return ReaderRates(reader, len(read), lesions, classes, sensitivity, specificity, ppv, npv, mean_sensitivity)


def _calibration(biopsied: pd.DataFrame, task: Task, weights: Weights, resamples: int, seed: int) -> LiveCalibration:
    is_positive, stated = biopsied["biopsy_dx"].isin(task.question.positives), biopsied["p_positive"]
    lesions = biopsied["lesion_id"].nunique()
    bin_of = pd.Series(bin_of_probability(stated.to_numpy(), LIVE_BINS), index=biopsied.index)
    filled = sorted(bin_of.unique())
    observed, *of_bins = measure_shares(
        biopsied, [(is_positive, bin_of >= 0), *((is_positive, bin_of == number) for number in filled)]
    )
    means = (_mean_estimate(values.to_numpy(dtype=float), weights) for values in (stated, is_positive - stated))
    mean_stated, difference = (_given_from(lesions, each) for each in means)
    truth, probabilities = _indices(biopsied["biopsy_dx"], task), biopsied[list(task.codes)].to_numpy()
    error = calibration_error(truth, probabilities, _lesions(biopsied), resamples, seed)
    bins = [
        CalibrationBin(float(stated[bin_of == number].mean()), share)
        for number, share in zip(filled, of_bins, strict=True)
    ]
    given = error if lesions >= MIN_LESIONS else NO_ERROR
    return LiveCalibration(mean_stated, observed, difference, given, tuple(bins))


def _mean_estimate(values: Array, weights: Weights) -> Estimate:
    """Mean of (N,) values with its interval; NaN without values. Every bootstrap sample draws some lesion."""
    if not len(values):
        return NOTHING
    return estimate_of(float(values.mean()), (weights @ values) / weights.sum(axis=1))


def _lesions(table: pd.DataFrame) -> np.ndarray:
    return table["lesion_id"].to_numpy(dtype=str)


def _indices(dx: pd.Series, task: Task) -> Indices:
    """Class indices; `OTHER` stands behind the classes."""
    return dx.map((*task.codes, OTHER).index).to_numpy(dtype=np.int64)
