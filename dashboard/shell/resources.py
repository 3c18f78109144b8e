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
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.shell.drafts import DraftStore
from dashboard.shell.pictures import SmallPictures
from dashboard.shell.settings import LOCAL_CLASSIFIER, ROOT, case_key, settings
from data.cases.log import CaseLog, open_case_log
from data.cases.storage import ImageStore, open_image_store
from data.datasets.ham10000 import DatasetError, count_images_and_lesions, image_path, load_counts, load_metadata
from data.tasks.known import DEFAULT_TASK, TASKS
from data.tasks.task import Task
from model.analysis.analyzer import Analysis, Analyzer
from model.analysis.log_lines import RequestRecord
from model.evaluation.predictions import Cohort, cohort_of, load_predictions
from model.evaluation.questions import question_scores
from model.evaluation.results import Evaluation, RocCurve, evaluate, roc_curves
from model.explain.keras_worker import KerasWorker
from model.images.rejection import MAX_BYTES, ImageRejected
from model.inference.artifact import MANIFEST_FILE, Artifact, ArtifactMismatch, load_artifact
from model.inference.runtimes import LiteRTClassifier
from model.measures.intervals import BinaryThresholds, Weights, bootstrap_weights

SAMPLE_FOLDER = ROOT / "data" / "sample"
THUMBNAIL_SIDE = 320  # pixels, for screens of two pixels a point
THUMBNAIL_QUALITY = 80
# What each cache of one entry a model holds; the memory of a dashboard grows with those that are looked at.
MOST_MODELS = 4
# Small pictures of saved cases, of about 3 kB each.
MOST_PICTURES = 2000
# Where a session keeps the folder that it has chosen.
CHOSEN_MODEL = "model"
_COMPUTING = "Computing {} (bootstrap by {}) ..."

_log = logging.getLogger(__name__)


# --- The models, and the one that this session looks at --------------------------------------------------------------


def model_folder() -> Path:
    """The weights folder that this session has chosen, or the one of the settings."""
    # Health checks and tests run outside any session.
    chosen = st.session_state.get(CHOSEN_MODEL) if get_script_run_ctx(suppress_warning=True) else None
    return settings().model_dir if chosen is None else Path(chosen)


def artifact() -> Artifact:
    """The checked weights folder of this session; raises `ArtifactMismatch` where it cannot be used."""
    return _artifact(model_folder())


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _artifact(folder: Path) -> Artifact:
    return load_artifact(folder)


def artifacts() -> tuple[Artifact, ...]:
    """The models there are to choose from: the one of the settings, then those beside its folder, by name.

    A folder that cannot be used is left out. Where something else runs the network, that is made for the model of the
    settings alone.

    Raises:
        ArtifactMismatch: the model of the settings cannot be used.
    """
    own = _artifact(settings().model_dir)
    return (own, *_beside(own.folder)) if settings().classifier == LOCAL_CLASSIFIER else (own,)


# Their files are hashed once a process, so a model that comes later is offered after a restart.
@st.cache_resource(max_entries=1, show_spinner=False)
def _beside(folder: Path) -> tuple[Artifact, ...]:
    usable = []
    for manifest in sorted(folder.parent.glob(f"*/{MANIFEST_FILE}")):
        if manifest.parent == folder:
            continue
        try:
            usable.append(_artifact(manifest.parent))
        except ArtifactMismatch as error:
            _log.warning("not offered: %s", error)
    return tuple(usable)


def task() -> Task:
    """What this session's model tells apart; the default task where it cannot be used, for pages that need no model."""
    try:
        return artifact().task
    except ArtifactMismatch:
        return TASKS[DEFAULT_TASK]


# --- The dataset -----------------------------------------------------------------------------------------------------


def metadata() -> pd.DataFrame | None:
    """The metadata of the dataset folder, or None where no folder is set; raises `DatasetError`."""
    folder = settings().dataset_dir
    return None if folder is None else _metadata(folder, task().codes)


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _metadata(folder: Path, codes: tuple[str, ...]) -> pd.DataFrame:
    return load_metadata(folder, codes)


def counts() -> pd.DataFrame | None:
    """Image and lesion counts of the dataset folder, or the committed ones where it is not set or cannot be read.

    None where the task's dataset has no committed ones.
    """
    folder, of_task = settings().dataset_dir, task()
    try:
        return _committed_counts(of_task.dataset.counts) if folder is None else _counts(folder, of_task.codes)
    except DatasetError as error:
        _log.warning("the dataset folder cannot be read: %s", error)
        return _committed_counts(of_task.dataset.counts)


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _counts(folder: Path, codes: tuple[str, ...]) -> pd.DataFrame:
    return count_images_and_lesions(_metadata(folder, codes))


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _committed_counts(file: str) -> pd.DataFrame | None:
    return load_counts(ROOT / "data" / file) if file else None


@st.cache_resource(max_entries=512, show_spinner=False)
def thumbnail(image_id: str) -> bytes | None:
    """A small JPEG of an image of the dataset folder, or None where the folder does not hold it, or holds no image."""
    folder = settings().dataset_dir
    path = None if folder is None else image_path(folder, image_id)
    if path is None:
        return None
    try:
        return _small_jpeg(path)
    except (OSError, ValueError, SyntaxError) as error:
        _log.warning("%s of the dataset cannot be shown: %s", path.name, type(error).__name__)
        return None


def _small_jpeg(path: Path) -> bytes:
    with Image.open(path) as image:
        image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        file = io.BytesIO()
        image.convert("RGB").save(file, "JPEG", quality=THUMBNAIL_QUALITY)
    return file.getvalue()


# --- What was measured -----------------------------------------------------------------------------------------------


def predictions() -> pd.DataFrame:
    """The model's predictions of the locked test images, one row an image; raises `ArtifactMismatch`."""
    return _predictions(model_folder())


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _predictions(folder: Path) -> pd.DataFrame:
    return load_predictions(_artifact(folder).test_predictions_path, _artifact(folder).task)


def cohort() -> Cohort:
    """The same predictions as arrays."""
    return _cohort(model_folder())


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _cohort(folder: Path) -> Cohort:
    return cohort_of(_predictions(folder), _artifact(folder).task)


def evaluation() -> Evaluation:
    """Metrics of the locked test images with their 95 % intervals (seconds at the first call of a process)."""
    with st.spinner(_COMPUTING.format("metrics with intervals", artifact().task.words.subject)):
        return _evaluation(model_folder())


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _evaluation(folder: Path) -> Evaluation:
    return evaluate(_cohort(folder))


def test_roc_curves() -> tuple[RocCurve, ...]:
    """ROC curves of the locked test images with their 95 % bands (seconds at the first call of a process)."""
    with st.spinner(_COMPUTING.format("ROC curves with bands", artifact().task.words.subject)):
        return _roc_curves(model_folder())


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _roc_curves(folder: Path) -> tuple[RocCurve, ...]:
    return roc_curves(_cohort(folder))


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _bootstrap(folder: Path) -> Weights:
    """How often each bootstrap sample draws each locked test image; one draw serves every threshold."""
    return bootstrap_weights(_cohort(folder).lesion_ids)


def thresholds(question: str) -> BinaryThresholds:
    """A yes/no question (the key of the task's, or a class's code), ready for a slider to try thresholds on."""
    return _thresholds(model_folder(), question)


@st.cache_resource(max_entries=32, show_spinner=False)
def _thresholds(folder: Path, question: str) -> BinaryThresholds:
    cohort = _cohort(folder)
    is_positive, score = question_scores(cohort, question)
    return BinaryThresholds(is_positive, score, cohort.lesion_ids, _bootstrap(folder))


def history() -> pd.DataFrame:
    """The training history of the artifact, one row an epoch."""
    return _history(model_folder())


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _history(folder: Path) -> pd.DataFrame:
    return pd.read_csv(_artifact(folder).history_path)


# --- The network, and what it makes of an upload ---------------------------------------------------------------------


def analyzer() -> Analyzer:
    """The model of this session, here or elsewhere, ready to answer; raises `ArtifactMismatch`."""
    return _analyzer(model_folder())


@st.cache_resource(max_entries=MOST_MODELS, show_spinner="Loading the model ...")
def _analyzer(folder: Path) -> Analyzer:
    if settings().classifier == LOCAL_CLASSIFIER:
        return Analyzer(LiteRTClassifier(_artifact(folder)))
    from model.remote.classifier import RemoteClassifier
    from model.remote.endpoints import open_endpoint

    endpoint = open_endpoint(settings().classifier, settings().classifier_token)
    return Analyzer(RemoteClassifier(_artifact(folder), endpoint))


def answering_runtime() -> str:
    """What runs the network, in words for the screen."""
    if settings().classifier == LOCAL_CLASSIFIER:
        return "this machine"
    from model.remote.endpoints import open_endpoint

    return open_endpoint(settings().classifier).name


def keras_worker() -> KerasWorker:
    """The child process for tf-keras-vis methods; it starts at its first heatmap."""
    return _keras_worker(model_folder())


# A process with TensorFlow each, so there is one at a time.
@st.cache_resource(max_entries=1, show_spinner=False, on_release=KerasWorker.close)
def _keras_worker(folder: Path) -> KerasWorker:
    return KerasWorker(_artifact(folder).keras_path)


def analysis(content: bytes, max_bytes: int = MAX_BYTES) -> Analysis:
    """What the model says of an upload, or of a case's image; raises `ImageRejected`."""
    outcome = _outcome(content, max_bytes, model_folder())
    if isinstance(outcome, ImageRejected):
        raise outcome.with_traceback(None)  # which would grow from rerun to rerun
    return outcome


# Bounded and for one session only: an upload is nobody else's business. A refusal is kept like an answer, so that a
# rerun neither decodes the image nor writes its line again.
@st.cache_resource(max_entries=4, show_spinner=False, scope="session")
def _outcome(content: bytes, max_bytes: int, folder: Path) -> Analysis | ImageRejected:
    model, record, started = _analyzer(folder), RequestRecord(images=1), time.perf_counter()
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


def stability(image_sha256: str, dx: str, analysis: Analysis) -> float:
    """How steady the heatmap of a class of an analysed image is (two more forward passes); see `Analyzer.stability`."""
    return _stability(image_sha256, dx, model_folder(), analysis)


# Like the upload it is computed of; the bytes are known by their hash.
@st.cache_resource(max_entries=28, show_spinner=False, scope="session")
def _stability(image_sha256: str, dx: str, folder: Path, _analysis: Analysis) -> float:
    return _analyzer(folder).stability(_analysis, dx)


# --- Unsaved work ----------------------------------------------------------------------------------------------------


@st.cache_resource(max_entries=1, show_spinner=False)
def drafts() -> DraftStore:
    """What the users of this process have not saved yet."""
    return DraftStore()


# --- Samples, images and cases ---------------------------------------------------------------------------------------


def samples() -> pd.DataFrame:
    """The synthetic samples of the task, one of each drawn class (file, intended_dx, seed, description); maybe none."""
    drawn = _samples()
    return drawn[drawn["intended_dx"].isin(task().codes)]


@st.cache_resource(max_entries=1, show_spinner=False)
def _samples() -> pd.DataFrame:
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
def small_pictures() -> SmallPictures:
    """Small pictures of saved cases, made of the images in the store; at most some megabytes."""
    return SmallPictures(MOST_PICTURES)


@st.cache_resource(max_entries=1, show_spinner=False)
def case_log() -> CaseLog:
    """The case log of the settings, migrated; raises `CaseLogUnavailable`, and then tries again at the next call."""
    return open_case_log(settings().database_url, image_store(), case_key())
