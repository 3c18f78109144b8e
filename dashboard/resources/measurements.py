"""What was measured of this session's model on the locked test images, all or those that the address asks about."""

from __future__ import annotations

from hashlib import sha256

import pandas as pd
import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.resources import dataset, models
from data.datasets.cohort import NAMED_COLUMNS, QUERY_NAMES, CohortFilter, filter_rows, from_query
from model.evaluation.comparison import AgainstOurs, against
from model.evaluation.precision_recall import PrecisionRecallCurve, precision_recall_curves
from model.evaluation.predictions import Cohort, cohort_of, load_predictions
from model.evaluation.questions import question_scores
from model.evaluation.results import Evaluation, RocCurve, evaluate, roc_curves
from model.evaluation.submissions import read_submission, references_of, table_of
from model.measures.shares import BinaryThresholds, ThresholdMetrics

# Filtered sets of test images of which figures are kept.
MOST_COHORTS = 16
# Those of a decision curve: nobody waits until a positive is more likely than not by far.
CURVE_THRESHOLDS: tuple[float, ...] = tuple(number / 100 for number in range(61))
_COMPUTING = "Computing {} by {} ..."


def test_cohort() -> tuple[CohortFilter, tuple[str, ...]]:
    """Which locked test images the address of the page asks about, and what of it is unknown and was dropped.

    Without filters in the address, and outside a session, it is all of them.
    """
    # Health checks and tests run outside any session.
    if not get_script_run_ctx(suppress_warning=True):
        return CohortFilter(), ()
    asked = {name: st.query_params.get_all(name) for name in QUERY_NAMES if name in st.query_params}
    return from_query(asked, _test_values(models.model_folder())) if asked else (CohortFilter(), ())


@st.cache_resource(max_entries=models.MOST_MODELS, show_spinner=False)
def _test_values(folder: str) -> dict[str, list[str]]:
    """What can be asked for: what Dataset offers, which holds values that no locked test image has."""
    of_task = models.artifact_in(folder).task
    committed = dataset.committed_counts(of_task.dataset.counts)
    tables = [_predictions(folder), *([] if committed is None else [committed])]
    return {
        "dx": list(of_task.codes),
        **{
            column: sorted(set().union(*(table[column] for table in tables)))
            for column in NAMED_COLUMNS
            if column != "dx"
        },
    }


def predictions() -> pd.DataFrame:
    """The model's predictions of the locked test images that the address asks about, one row an image.

    Raises:
        ArtifactMismatch: the model cannot be used.
    """
    return _kept_predictions(models.model_folder(), test_cohort()[0])


def _kept_predictions(folder: str, wanted: CohortFilter) -> pd.DataFrame:
    table = _predictions(folder)
    return table if wanted.is_everything else filter_rows(table, wanted).reset_index(drop=True)


@st.cache_resource(max_entries=models.MOST_MODELS, show_spinner=False)
def _predictions(folder: str) -> pd.DataFrame:
    return load_predictions(models.artifact_in(folder).test_predictions_path, models.artifact_in(folder).task)


def all_test_images() -> int:
    """How many locked test images there are, whatever the address asks about."""
    return len(_predictions(models.model_folder()))


def cohort() -> Cohort:
    """The same predictions as arrays."""
    return _cohort(models.model_folder(), test_cohort()[0])


@st.cache_resource(max_entries=MOST_COHORTS, show_spinner=False)
def _cohort(folder: str, wanted: CohortFilter) -> Cohort:
    return cohort_of(_kept_predictions(folder, wanted), models.artifact_in(folder).task)


def evaluation() -> Evaluation:
    """Metrics of the same images with their 95 % intervals (seconds at the first call of a process)."""
    with st.spinner(_COMPUTING.format("metrics with intervals", models.artifact().task.words.subject)):
        return _evaluation(models.model_folder(), test_cohort()[0])


@st.cache_resource(max_entries=MOST_COHORTS, show_spinner=False)
def _evaluation(folder: str, wanted: CohortFilter) -> Evaluation:
    return evaluate(_cohort(folder, wanted))


def test_roc_curves() -> tuple[RocCurve, ...]:
    """ROC curves of the same images with their 95 % bands (seconds at the first call of a process)."""
    with st.spinner(_COMPUTING.format("ROC curves with bands", models.artifact().task.words.subject)):
        return _roc_curves(models.model_folder(), test_cohort()[0])


@st.cache_resource(max_entries=MOST_COHORTS, show_spinner=False)
def _roc_curves(folder: str, wanted: CohortFilter) -> tuple[RocCurve, ...]:
    return roc_curves(_cohort(folder, wanted))


def test_precision_recall_curves() -> tuple[PrecisionRecallCurve, ...]:
    """Precision-recall curves of the same images with their 95 % bands (seconds at the first call of a process)."""
    with st.spinner(_COMPUTING.format("precision-recall curves with bands", models.artifact().task.words.subject)):
        return _precision_recall_curves(models.model_folder(), test_cohort()[0])


@st.cache_resource(max_entries=MOST_COHORTS, show_spinner=False)
def _precision_recall_curves(folder: str, wanted: CohortFilter) -> tuple[PrecisionRecallCurve, ...]:
    return precision_recall_curves(_cohort(folder, wanted))


def thresholds(question: str) -> BinaryThresholds:
    """A yes/no question (the key of the task's, or a class's code), ready for a slider to try thresholds on."""
    return _thresholds(models.model_folder(), question, test_cohort()[0])


@st.cache_resource(max_entries=32, show_spinner=False)
def _thresholds(folder: str, question: str, wanted: CohortFilter) -> BinaryThresholds:
    cohort = _cohort(folder, wanted)
    is_positive, score = question_scores(cohort, question)
    return BinaryThresholds(is_positive, score, cohort.lesion_ids)


def threshold_rates(question: str) -> tuple[ThresholdMetrics, ...]:
    """What many thresholds on a question do, from the lowest to the highest, for curves over all of them."""
    return _threshold_rates(models.model_folder(), question, test_cohort()[0])


@st.cache_resource(max_entries=32, show_spinner=False)
def _threshold_rates(folder: str, question: str, wanted: CohortFilter) -> tuple[ThresholdMetrics, ...]:
    return tuple(map(_thresholds(folder, question, wanted).at, CURVE_THRESHOLDS))


def against_ours(content: bytes, source: str, is_logits: bool) -> AgainstOurs:
    """A table of another model beside the model's predictions of the same locked test images (seconds).

    It is kept for this session alone, and not stored.

    Raises:
        PredictionsError: it is no table of predictions, or of none of these images.
    """
    digest = sha256(content).hexdigest()
    return _against_ours(digest, source, is_logits, models.model_folder(), test_cohort()[0], content)


@st.cache_resource(max_entries=2, show_spinner=False, scope="session")
def _against_ours(
    content_sha256: str, source: str, is_logits: bool, folder: str, wanted: CohortFilter, _content: bytes
) -> AgainstOurs:
    ours, points = _cohort(folder, wanted), models.artifact_in(folder).operating_points
    submission = read_submission(table_of(_content, source), references_of(ours), source, is_logits)
    return against(submission, ours, [point.threshold for point in points])
