"""Everything loaded once and shared by all sessions: the only cache decorators.

What these functions return belongs to every user at once: read it, never change it.
"""

from __future__ import annotations

import io
import logging
import time
from pathlib import Path

import pandas as pd
import streamlit as st
from PIL import Image

from dashboard.shell.settings import LOCAL_CLASSIFIER, ROOT, case_key, settings
from data.cases.log import CaseLog, open_case_log
from data.cases.storage import ImageStore, open_image_store
from data.datasets.ham10000 import DatasetError, count_images_and_lesions, image_path, load_counts, load_metadata
from model.analysis.analyzer import Analysis, Analyzer
from model.analysis.log_lines import RequestRecord
from model.evaluation.predictions import Cohort, cohort_of, load_predictions
from model.evaluation.questions import question_scores
from model.evaluation.results import Evaluation, RocCurve, evaluate, roc_curves
from model.explain.keras_worker import KerasWorker
from model.images.rejection import MAX_BYTES, ImageRejected
from model.inference.artifact import Artifact, load_artifact
from model.inference.runtimes import LiteRTClassifier
from model.measures.intervals import BinaryThresholds, Weights, bootstrap_weights

SAMPLE_FOLDER = ROOT / "data" / "sample"
THUMBNAIL_SIDE = 320  # pixels, for screens of two pixels a point
THUMBNAIL_QUALITY = 80

_log = logging.getLogger(__name__)


@st.cache_resource(max_entries=1, show_spinner=False)
def artifact() -> Artifact:
    """The checked weights folder of the settings; raises `ArtifactMismatch` where it cannot be used."""
    return load_artifact(settings().model_dir)


@st.cache_resource(max_entries=1, show_spinner=False)
def metadata() -> pd.DataFrame | None:
    """The metadata of the dataset folder, or None where no folder is set; raises `DatasetError`."""
    folder = settings().dataset_dir
    return None if folder is None else load_metadata(folder)


@st.cache_resource(max_entries=1, show_spinner=False)
def counts() -> pd.DataFrame:
    """Image and lesion counts of the dataset folder, or the committed ones where it is not set or cannot be read."""
    try:
        table = metadata()
    except DatasetError as error:
        _log.warning("showing the committed counts: %s", error)
        table = None
    return load_counts() if table is None else count_images_and_lesions(table)


@st.cache_resource(max_entries=512, show_spinner=False)
def thumbnail(image_id: str) -> bytes | None:
    """A small JPEG of an image of the dataset folder, or None where the folder does not hold it."""
    folder = settings().dataset_dir
    path = None if folder is None else image_path(folder, image_id)
    if path is None:
        return None
    return _small_jpeg(path)


def _small_jpeg(path: Path) -> bytes:
    with Image.open(path) as image:
        image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        file = io.BytesIO()
        image.convert("RGB").save(file, "JPEG", quality=THUMBNAIL_QUALITY)
    return file.getvalue()


@st.cache_resource(max_entries=1, show_spinner=False)
def predictions() -> pd.DataFrame:
    """The model's predictions of the locked test images, one row an image; raises `ArtifactMismatch`."""
    return load_predictions(artifact().test_predictions_path, artifact().task)


@st.cache_resource(max_entries=1, show_spinner=False)
def cohort() -> Cohort:
    """The same predictions as arrays."""
    return cohort_of(predictions(), artifact().task)


@st.cache_resource(max_entries=1, show_spinner="Computing metrics with intervals (bootstrap by lesion) ...")
def evaluation() -> Evaluation:
    """Metrics of the locked test images with their 95 % intervals (seconds at the first call of a process)."""
    return evaluate(cohort())


@st.cache_resource(max_entries=1, show_spinner="Computing ROC curves with bands (bootstrap by lesion) ...")
def test_roc_curves() -> tuple[RocCurve, ...]:
    """ROC curves of the locked test images with their 95 % bands (seconds at the first call of a process)."""
    return roc_curves(cohort())


@st.cache_resource(max_entries=1, show_spinner=False)
def bootstrap() -> Weights:
    """How often each bootstrap sample draws each locked test image; one draw serves every threshold."""
    return bootstrap_weights(cohort().lesion_ids)


@st.cache_resource(max_entries=32, show_spinner=False)
def thresholds(question: str) -> BinaryThresholds:
    """A yes/no question (`malignant` or a dx code), ready for a slider to try thresholds on."""
    is_positive, score = question_scores(cohort(), question)
    return BinaryThresholds(is_positive, score, cohort().lesion_ids, bootstrap())


@st.cache_resource(max_entries=1, show_spinner=False)
def history() -> pd.DataFrame:
    """The training history of the artifact, one row an epoch."""
    return pd.read_csv(artifact().history_path)


@st.cache_resource(max_entries=1, show_spinner="Loading the model ...")
def analyzer() -> Analyzer:
    """The model of the settings, here or elsewhere, ready to answer; raises `ArtifactMismatch`."""
    if settings().classifier == LOCAL_CLASSIFIER:
        return Analyzer(LiteRTClassifier(artifact()))
    from model.remote.classifier import RemoteClassifier
    from model.remote.endpoints import open_endpoint

    endpoint = open_endpoint(settings().classifier, settings().classifier_token)
    return Analyzer(RemoteClassifier(artifact(), endpoint))


def answering_runtime() -> str:
    """What runs the network, in words for the screen."""
    if settings().classifier == LOCAL_CLASSIFIER:
        return "this machine"
    from model.remote.endpoints import open_endpoint

    return open_endpoint(settings().classifier).name


@st.cache_resource(max_entries=1, show_spinner=False)
def keras_worker() -> KerasWorker:
    """The child process for tf-keras-vis methods; it starts at its first heatmap."""
    return KerasWorker(artifact().keras_path)


def analysis(content: bytes, max_bytes: int = MAX_BYTES) -> Analysis:
    """What the model says of an upload, or of a case's image; raises `ImageRejected`."""
    outcome = _outcome(content, max_bytes)
    if isinstance(outcome, ImageRejected):
        raise outcome.with_traceback(None)  # which would grow from rerun to rerun
    return outcome


# Bounded and for one session only: an upload is nobody else's business. A refusal is kept like an answer, so that a
# rerun neither decodes the image nor writes its line again.
@st.cache_resource(max_entries=4, show_spinner=False, scope="session")
def _outcome(content: bytes, max_bytes: int) -> Analysis | ImageRejected:
    model, record, started = analyzer(), RequestRecord(images=1), time.perf_counter()
    outcome: Analysis | ImageRejected
    try:
        outcome = model.run(content, max_bytes)
        record.observe(outcome)
    except ImageRejected as rejected:
        outcome = rejected
        record.refuse(rejected.reason)
    record.reason = next(iter(record.refusals), None)
    fields = {
        "request_id": record.request_id,
        "route": "dashboard",
        "status": 200,
        "model_name": model.artifact.name,
        "model_version": model.artifact.version,
        **record.fields(time.perf_counter() - started),
    }
    _log.info("analysis", extra={"fields": fields})
    return outcome


# Like the upload it is computed of; the bytes are known by their hash.
@st.cache_resource(max_entries=28, show_spinner=False, scope="session")
def stability(image_sha256: str, dx: str, _analysis: Analysis) -> float:
    """How steady the heatmap of a class of an analysed image is (two more forward passes); see `Analyzer.stability`."""
    return analyzer().stability(_analysis, dx)


@st.cache_resource(max_entries=1, show_spinner=False)
def samples() -> pd.DataFrame:
    """The synthetic samples, one of each drawn class (file, intended_dx, seed, description)."""
    return pd.read_csv(SAMPLE_FOLDER / "samples.csv").drop_duplicates("intended_dx")


def sample_content(file: str) -> bytes:
    """The bytes of a synthetic sample."""
    return (SAMPLE_FOLDER / file).read_bytes()


@st.cache_resource(max_entries=16, show_spinner=False)
def sample_thumbnail(file: str) -> bytes:
    """A small JPEG of a synthetic sample."""
    return _small_jpeg(SAMPLE_FOLDER / file)


@st.cache_resource(max_entries=1, show_spinner=False)
def image_store() -> ImageStore:
    """Where the images of saved cases lie, by the settings."""
    return open_image_store(settings().image_store, settings().image_store_endpoint)


@st.cache_resource(max_entries=1, show_spinner=False)
def case_log() -> CaseLog:
    """The case log of the settings, migrated; raises `CaseLogUnavailable`, and then tries again at the next call."""
    return open_case_log(settings().database_url, image_store(), case_key())
