"""Everything loaded once and shared by all sessions: the only cache decorators.

What these functions return belongs to every user at once: read it, never change it.
"""

from __future__ import annotations

import io
import logging
import time
from collections import deque
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from PIL import Image
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.settings import LOCAL, LOCAL_CLASSIFIER, OF_MODEL, ROOT, case_key, settings
from dashboard.shell.drafts import DraftStore
from dashboard.shell.pictures import PictureFolder, SmallPictures
from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseLog, open_case_log, open_without_key
from data.cases.sign_ins import EndedSignIns
from data.cases.storage import ImageStore, open_image_store
from data.datasets.appearance import load_appearance
from data.datasets.cohort import NAMED_COLUMNS, QUERY_NAMES, CohortFilter, filter_rows, from_query, stated
from data.datasets.ham10000 import DatasetError, count_images_and_lesions, load_counts, mask_path
from data.datasets.near_copies import load_near_copies
from data.tasks.known import DEFAULT_TASK, TASKS
from data.tasks.task import Task
from model.analysis.analyzer import Analysis, Analyzer
from model.analysis.log_lines import RequestRecord
from model.batch.dataset import image_content, metadata_of
from model.batch.sources import SourceUnavailable
from model.evaluation.comparison import AgainstOurs, against
from model.evaluation.model_table import ModelRow, ReportedFigure, read_reported, read_table, row_of_artifact
from model.evaluation.precision_recall import PrecisionRecallCurve, precision_recall_curves
from model.evaluation.predictions import Cohort, cohort_of, load_predictions
from model.evaluation.questions import question_scores
from model.evaluation.results import Evaluation, RocCurve, evaluate, roc_curves
from model.evaluation.submissions import read_submission, references_of, table_of
from model.evaluation.training_costs import TrainingCost, read_costs
from model.explain.keras_worker import KerasWorker
from model.explain.maps import overlay
from model.explain.neighbours import Neighbour, NeighbourIndex, load_index
from model.images.decoding import decode_image
from model.images.rejection import MAX_BYTES, ImageRejected
from model.inference.artifact import MANIFEST_FILE, Artifact, ArtifactMismatch, load_artifact
from model.inference.runtimes import LiteRTClassifier
from model.measures.shares import BinaryThresholds, ThresholdMetrics

SAMPLE_FOLDER = ROOT / "data" / "sample"
THUMBNAIL_SIDE = 320  # pixels, for screens of two pixels a point
THUMBNAIL_QUALITY = 80
SHOWN_QUALITY = 92  # of the image that is read
# What each cache of one entry a model holds; the memory of a dashboard grows with those that are looked at.
MOST_MODELS = 4
# Filtered sets of test images of which figures are kept.
MOST_COHORTS = 16
# Those of a decision curve: nobody waits until a positive is more likely than not by far.
CURVE_THRESHOLDS: tuple[float, ...] = tuple(number / 100 for number in range(61))
# Small pictures of the dataset on disk, of about 15 kB each: all of HAM10000, and no more.
MOST_THUMBNAILS = 12_000
# What an address names an image of the dataset by.
IMAGE_PARAMETER = "image"
# Small pictures of saved cases, of about 3 kB each.
MOST_PICTURES = 2000
# Where a session keeps the folder that it has chosen.
CHOSEN_MODEL = "model"
_COMPUTING = "Computing {} by {} ..."

_log = logging.getLogger(__name__)


# --- The models, and the one that this session looks at --------------------------------------------------------------


def model_folder() -> str:
    """The weights folder that this session has chosen, or the one of the settings.

    Text, as the key of caches that are asked dozens of times a page: Streamlit takes four times as long for a path.
    """
    # Health checks and tests run outside any session.
    chosen = st.session_state.get(CHOSEN_MODEL) if get_script_run_ctx(suppress_warning=True) else None
    return str(settings().model_dir) if chosen is None else str(chosen)


def choose_model(artifact: Artifact) -> None:
    """Let this session look at another model, and so at its task."""
    st.session_state[CHOSEN_MODEL] = str(artifact.folder)


def artifact() -> Artifact:
    """The checked weights folder of this session; raises `ArtifactMismatch` where it cannot be used."""
    return _artifact(model_folder())


def artifact_of(task: Task) -> Artifact | None:
    """The model for a task, whatever this session looks at: its own, or the first of that task; None without any.

    Raises:
        ArtifactMismatch: the model of this session, or that of the settings, cannot be used.
    """
    own = artifact()
    return own if own.task.key == task.key else next((one for one in artifacts() if one.task.key == task.key), None)


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _artifact(folder: str) -> Artifact:
    return load_artifact(Path(folder))


def artifacts() -> tuple[Artifact, ...]:
    """The models there are to choose from: the one of the settings, then those beside its folder, by name.

    A folder that cannot be used is left out. Where something else runs the network, that is made for the model of the
    settings alone.

    Raises:
        ArtifactMismatch: the model of the settings cannot be used.
    """
    own = _artifact(str(settings().model_dir))
    return (own, *_beside(own.folder)) if settings().classifier == LOCAL_CLASSIFIER else (own,)


# Their files are hashed once a process, so a model that comes later is offered after a restart.
@st.cache_resource(max_entries=1, show_spinner=False)
def _beside(folder: Path) -> tuple[Artifact, ...]:
    usable = []
    for manifest in sorted(folder.parent.glob(f"*/{MANIFEST_FILE}")):
        if manifest.parent == folder:
            continue
        try:
            usable.append(_artifact(str(manifest.parent)))
        except ArtifactMismatch as error:
            _log.warning("not offered: %s", error)
    return tuple(usable)


def tasks() -> tuple[Task, ...]:
    """What the models there are to choose from tell apart, that of the settings first; without any, the default."""
    try:
        return tuple({one.task.key: one.task for one in artifacts()}.values())
    except ArtifactMismatch:
        return (TASKS[DEFAULT_TASK],)


def task() -> Task:
    """What this session's model tells apart; the default task where it cannot be used, for pages that need no model."""
    try:
        return artifact().task
    except ArtifactMismatch:
        return TASKS[DEFAULT_TASK]


# --- The dataset -----------------------------------------------------------------------------------------------------


def dataset_place() -> Path | str | None:
    """Where the images of the task's dataset lie, a folder or `s3://bucket/prefix`; None where no setting says so."""
    places, key = settings().dataset_dir, task().key
    return places.get(key) or (places.get(OF_MODEL) if key == tasks()[0].key else None)


def metadata() -> pd.DataFrame | None:
    """The metadata of the dataset folder, or None where no folder is set; raises `DatasetError`."""
    folder = dataset_place()
    return None if folder is None else _metadata(folder, task().codes)


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _metadata(place: Path | str, codes: tuple[str, ...]) -> pd.DataFrame:
    return metadata_of(place, codes)


def counts() -> pd.DataFrame | None:
    """Image and lesion counts of the dataset folder, or the committed ones where it is not set or cannot be read.

    None where the task's dataset has no committed ones.
    """
    folder, of_task = dataset_place(), task()
    try:
        return _committed_counts(of_task.dataset.counts) if folder is None else _counts(folder, of_task.codes)
    except DatasetError as error:
        _log.warning("the dataset folder cannot be read: %s", error)
        return _committed_counts(of_task.dataset.counts)


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _counts(place: Path | str, codes: tuple[str, ...]) -> pd.DataFrame:
    return count_images_and_lesions(_metadata(place, codes))


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _committed_counts(file: str) -> pd.DataFrame | None:
    return load_counts(ROOT / "data" / file) if file else None


def stated_facts() -> tuple[str, ...]:
    """Of age, site, sex and confirmation, what the dataset states of any image; none where nothing is counted."""
    table = counts()
    return () if table is None else stated(table)


def appearance() -> pd.DataFrame | None:
    """How the images of the task's dataset look, one row an image; None where none were measured.

    Where there is a dataset folder that can be read, of its images alone.
    """
    file, folder = task().dataset.appearance, dataset_place()
    if not file:
        return None
    try:
        return _appearance(file) if folder is None else _appearance_of(file, folder, task().codes)
    except DatasetError:
        return _appearance(file)


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _appearance(file: str) -> pd.DataFrame:
    return load_appearance(ROOT / "data" / file)


# To look up ten thousand ids takes longer than all else that a filter does with them.
@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _appearance_of(file: str, place: Path | str, codes: tuple[str, ...]) -> pd.DataFrame:
    measured = _appearance(file)
    return measured[measured["image_id"].isin(_metadata(place, codes)["image_id"])]


def near_copies() -> pd.DataFrame | None:
    """Pairs of images of the task's dataset that are nearly the same; None where none were looked for."""
    file = task().dataset.near_copies
    return _near_copies(file) if file else None


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _near_copies(file: str) -> pd.DataFrame:
    return load_near_copies(ROOT / "data" / file)


def has_dataset_images() -> bool:
    """Whether there is a dataset folder to take images from."""
    return dataset_place() is not None


def dataset_image(image_id: str) -> bytes | None:
    """The file of an image of the dataset, or None where the dataset does not hold it, or it cannot be read."""
    place = dataset_place()
    return None if place is None else _dataset_image(place, image_id)


def _dataset_image(place: Path | str, image_id: str) -> bytes | None:
    try:
        return image_content(place, image_id)
    except (OSError, SourceUnavailable) as error:
        _log.warning("an image of the dataset cannot be read: %s", type(error).__name__)
        return None


def thumbnail(image_id: str) -> bytes | None:
    """A small JPEG of an image of the dataset folder, or None where the folder does not hold it, or holds no image.

    It is kept on disk as well: to make it anew costs ten times as much as to read it.
    """
    place = dataset_place()
    return None if place is None else _thumbnail(place, image_id)


@st.cache_resource(max_entries=512, show_spinner=False)
def _thumbnail(place: Path | str, image_id: str) -> bytes | None:
    kept, name = _kept_thumbnails(), f"{place}/{image_id}"
    if (picture := kept.get(name)) is not None:
        return picture
    content = _dataset_image(place, image_id)
    if content is None:
        return None
    try:
        picture = _small_jpeg(decode_image(content))
    except (OSError, ImageRejected) as error:
        _log.warning("%s of the dataset cannot be shown: %s", image_id, type(error).__name__)
        return None
    kept.put(name, picture)
    return picture


@st.cache_resource(max_entries=1, show_spinner=False)
def _kept_thumbnails() -> PictureFolder:
    return PictureFolder(LOCAL / "thumbnails", MOST_THUMBNAILS)


@st.cache_resource(max_entries=256, show_spinner=False)
def _heatmap_thumbnail(folder: str, image_id: str, dx: str) -> bytes | None:
    content = dataset_image(image_id)
    try:
        analysis = None if content is None else _analyzer(folder).run(content)
    except ImageRejected:
        return None
    if analysis is None or analysis.answer is None:
        return None
    explanation = analysis.answer.explanation
    return _small_jpeg(overlay(analysis.image, explanation.heatmap(dx), explanation.framing))


def heatmap_thumbnail(image_id: str, dx: str) -> bytes | None:
    """The same with the heatmap of a class over it (a forward pass at the first call); None where it gets no answer."""
    return _heatmap_thumbnail(model_folder(), image_id, dx)


def _small_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=THUMBNAIL_QUALITY)
    return file.getvalue()


def image_and_mask(image_id: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None] | None:
    """An image of the dataset folder, (H, W, 3) uint8 RGB, and its lesion mask, (H, W), where the folder has one.

    None where the folder does not hold the image, or holds none that can be read.
    """
    place = dataset_place()
    return None if place is None else _image_and_mask(place, image_id)


@st.cache_resource(max_entries=8, show_spinner=False)
def _image_and_mask(place: Path | str, image_id: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None] | None:
    content = _dataset_image(place, image_id)
    if content is None:
        return None
    try:
        # Masks are read of a folder only.
        image, mask = decode_image(content), mask_path(place, image_id) if isinstance(place, Path) else None
        if mask is None:
            return image, None
        with Image.open(mask) as opened:
            inside = opened.convert("L").resize((image.shape[1], image.shape[0]), Image.Resampling.NEAREST)
        return image, np.asarray(inside) > 127
    except (OSError, ImageRejected) as error:
        _log.warning("%s of the dataset cannot be shown: %s", image_id, type(error).__name__)
        return None


def neighbour_index() -> NeighbourIndex:
    """The training images of this session's model as it sees them; raises `ArtifactMismatch`."""
    return _neighbour_index(model_folder())


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _neighbour_index(folder: str) -> NeighbourIndex:
    return load_index(_artifact(folder).neighbours_path, _artifact(folder).task.codes)


def similar_lesions(image_id: str, lesion_id: str, count: int) -> tuple[Neighbour, ...]:
    """The training lesions that the network finds most like an image of the dataset, without its own.

    None where the image gets no answer (a forward pass at the first call, for images that were not trained on).

    Raises:
        ArtifactMismatch: the model cannot be used.
    """
    return _similar_lesions(model_folder(), image_id, lesion_id, count)


@st.cache_resource(max_entries=256, show_spinner=False)
def _similar_lesions(folder: str, image_id: str, lesion_id: str, count: int) -> tuple[Neighbour, ...]:
    index = _neighbour_index(folder)
    if known := index.like(image_id, count):
        return known
    content = dataset_image(image_id)
    try:
        analysis = None if content is None else _analyzer(folder).run(content)
    except ImageRejected:
        return ()
    if analysis is None or analysis.answer is None:
        return ()
    return index.nearest(analysis.output.embedding, count, lesion_id)


# --- What was measured -----------------------------------------------------------------------------------------------


def test_cohort() -> tuple[CohortFilter, tuple[str, ...]]:
    """Which locked test images the address of the page asks about, and what of it is unknown and was dropped.

    Without filters in the address, and outside a session, it is all of them.
    """
    # Health checks and tests run outside any session.
    if not get_script_run_ctx(suppress_warning=True):
        return CohortFilter(), ()
    asked = {name: st.query_params.get_all(name) for name in QUERY_NAMES if name in st.query_params}
    return from_query(asked, _test_values(model_folder())) if asked else (CohortFilter(), ())


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _test_values(folder: str) -> dict[str, list[str]]:
    """What can be asked for: what Dataset offers, which holds values that no locked test image has."""
    of_task = _artifact(folder).task
    committed = _committed_counts(of_task.dataset.counts)
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
    return _kept_predictions(model_folder(), test_cohort()[0])


def _kept_predictions(folder: str, wanted: CohortFilter) -> pd.DataFrame:
    table = _predictions(folder)
    return table if wanted.is_everything else filter_rows(table, wanted).reset_index(drop=True)


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _predictions(folder: str) -> pd.DataFrame:
    return load_predictions(_artifact(folder).test_predictions_path, _artifact(folder).task)


def all_test_images() -> int:
    """How many locked test images there are, whatever the address asks about."""
    return len(_predictions(model_folder()))


def cohort() -> Cohort:
    """The same predictions as arrays."""
    return _cohort(model_folder(), test_cohort()[0])


@st.cache_resource(max_entries=MOST_COHORTS, show_spinner=False)
def _cohort(folder: str, wanted: CohortFilter) -> Cohort:
    return cohort_of(_kept_predictions(folder, wanted), _artifact(folder).task)


def evaluation() -> Evaluation:
    """Metrics of the same images with their 95 % intervals (seconds at the first call of a process)."""
    with st.spinner(_COMPUTING.format("metrics with intervals", artifact().task.words.subject)):
        return _evaluation(model_folder(), test_cohort()[0])


@st.cache_resource(max_entries=MOST_COHORTS, show_spinner=False)
def _evaluation(folder: str, wanted: CohortFilter) -> Evaluation:
    return evaluate(_cohort(folder, wanted))


def test_roc_curves() -> tuple[RocCurve, ...]:
    """ROC curves of the same images with their 95 % bands (seconds at the first call of a process)."""
    with st.spinner(_COMPUTING.format("ROC curves with bands", artifact().task.words.subject)):
        return _roc_curves(model_folder(), test_cohort()[0])


@st.cache_resource(max_entries=MOST_COHORTS, show_spinner=False)
def _roc_curves(folder: str, wanted: CohortFilter) -> tuple[RocCurve, ...]:
    return roc_curves(_cohort(folder, wanted))


def test_precision_recall_curves() -> tuple[PrecisionRecallCurve, ...]:
    """Precision-recall curves of the same images with their 95 % bands (seconds at the first call of a process)."""
    with st.spinner(_COMPUTING.format("precision-recall curves with bands", artifact().task.words.subject)):
        return _precision_recall_curves(model_folder(), test_cohort()[0])


@st.cache_resource(max_entries=MOST_COHORTS, show_spinner=False)
def _precision_recall_curves(folder: str, wanted: CohortFilter) -> tuple[PrecisionRecallCurve, ...]:
    return precision_recall_curves(_cohort(folder, wanted))


def thresholds(question: str) -> BinaryThresholds:
    """A yes/no question (the key of the task's, or a class's code), ready for a slider to try thresholds on."""
    return _thresholds(model_folder(), question, test_cohort()[0])


@st.cache_resource(max_entries=32, show_spinner=False)
def _thresholds(folder: str, question: str, wanted: CohortFilter) -> BinaryThresholds:
    cohort = _cohort(folder, wanted)
    is_positive, score = question_scores(cohort, question)
    return BinaryThresholds(is_positive, score, cohort.lesion_ids)


def threshold_rates(question: str) -> tuple[ThresholdMetrics, ...]:
    """What many thresholds on a question do, from the lowest to the highest, for curves over all of them."""
    return _threshold_rates(model_folder(), question, test_cohort()[0])


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
    return _against_ours(digest, source, is_logits, model_folder(), test_cohort()[0], content)


@st.cache_resource(max_entries=2, show_spinner=False, scope="session")
def _against_ours(
    content_sha256: str, source: str, is_logits: bool, folder: str, wanted: CohortFilter, _content: bytes
) -> AgainstOurs:
    ours, points = _cohort(folder, wanted), _artifact(folder).operating_points
    submission = read_submission(table_of(_content, source), references_of(ours), source, is_logits)
    return against(submission, ours, [point.threshold for point in points])


def history() -> pd.DataFrame:
    """The training history of the artifact, one row an epoch."""
    return _history(model_folder())


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def _history(folder: str) -> pd.DataFrame:
    return pd.read_csv(_artifact(folder).history_path)


@st.cache_resource(max_entries=1, show_spinner=False)
def trained_models() -> tuple[ModelRow, ...]:
    """The models that were trained here beside the served one; raises `ResultsError`."""
    return read_table()


@st.cache_resource(max_entries=1, show_spinner=False)
def reported_figures() -> tuple[ReportedFigure, ...]:
    """What others report of models like them; raises `ResultsError`."""
    return read_reported()


def served_row() -> ModelRow:
    """The model of this session as a row beside them."""
    return row_of_artifact(artifact(), history()["seconds"].sum() / 60)


@st.cache_resource(max_entries=1, show_spinner=False)
def training_costs() -> tuple[TrainingCost, ...]:
    """What trainings cost on which machine; raises `ResultsError`."""
    return read_costs()


# --- The network, and what it makes of an upload ---------------------------------------------------------------------


def analyzer(artifact: Artifact | None = None) -> Analyzer:
    """A model (None: that of this session), here or elsewhere, ready to answer; raises `ArtifactMismatch`."""
    return _analyzer(model_folder() if artifact is None else str(artifact.folder))


@st.cache_resource(max_entries=MOST_MODELS, show_spinner="Loading the model ...")
def _analyzer(folder: str) -> Analyzer:
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
def _keras_worker(folder: str) -> KerasWorker:
    return KerasWorker(_artifact(folder).keras_path)


def analysis(
    content: bytes, max_bytes: int = MAX_BYTES, content_sha256: str | None = None, artifact: Artifact | None = None
) -> Analysis:
    """What the model says of an upload, or of a case's image; raises `ImageRejected`.

    Args:
        content: of the file.
        max_bytes: more are refused.
        content_sha256: of the content, where it is known: a page asks often, and a photograph has megabytes.
        artifact: the model to ask, where it is not that of this session.
    """
    known = content_sha256 or sha256(content).hexdigest()
    outcome = _outcome(known, max_bytes, model_folder() if artifact is None else str(artifact.folder), content)
    if isinstance(outcome, ImageRejected):
        raise outcome.with_traceback(None)  # which would grow from rerun to rerun
    return outcome


# Bounded and for one session only: an upload is nobody else's business. A refusal is kept like an answer, so that a
# rerun neither decodes the image nor writes its line again.
@st.cache_resource(max_entries=4, show_spinner=False, scope="session")
def _outcome(content_sha256: str, max_bytes: int, folder: str, _content: bytes) -> Analysis | ImageRejected:
    model, record, started = _analyzer(folder), RequestRecord(images=1), time.perf_counter()
    outcome: Analysis | ImageRejected
    try:
        outcome = model.run(_content, max_bytes)
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


def artifact_that_answers(content: bytes, content_sha256: str) -> Artifact | None:
    """A model of another task that answers an image, to be asked of one that this session's model refused.

    None where no such model is there, or none answers. A forward pass a model at the first call for an image.
    """
    others = (one for one in artifacts() if one.task.key != task().key)
    return next((one for one in others if _is_answered(content_sha256, str(one.folder), content)), None)


@st.cache_resource(max_entries=16, show_spinner=False, scope="session")
def _is_answered(content_sha256: str, folder: str, _content: bytes) -> bool:
    try:
        return _analyzer(folder).run(_content).answer is not None
    except ImageRejected:
        return False


def stability(image_sha256: str, dx: str, analysis: Analysis) -> float:
    """How steady the heatmap of a class of an analysed image is (two more forward passes); see `Analyzer.stability`."""
    return _stability(image_sha256, dx, model_folder(), analysis)


# Like the upload it is computed of; the bytes are known by their hash.
@st.cache_resource(max_entries=28, show_spinner=False, scope="session")
def _stability(image_sha256: str, dx: str, folder: str, _analysis: Analysis) -> float:
    return _analyzer(folder).stability(_analysis, dx)


def shown_image(analysis: Analysis) -> bytes:
    """The image of an analysis as JPEG for the screen, made once while the session looks at it."""
    return _shown_image(analysis.image_sha256, analysis.image.shape, analysis)


@st.cache_resource(max_entries=4, show_spinner=False, scope="session")
def _shown_image(image_sha256: str, shape: tuple[int, ...], _analysis: Analysis) -> bytes:
    file = io.BytesIO()
    Image.fromarray(_analysis.image).save(file, "JPEG", quality=SHOWN_QUALITY)
    return file.getvalue()


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
    return _small_jpeg(decode_image(sample_content(file)))


@st.cache_resource(max_entries=1, show_spinner=False)
def image_store() -> ImageStore:
    """Where the images of saved cases lie, by the settings."""
    chosen = settings()
    return open_image_store(chosen.image_store, chosen.image_store_endpoint, chosen.image_store_encryption)


@st.cache_resource(max_entries=1, show_spinner=False)
def small_pictures() -> SmallPictures:
    """Small pictures of saved cases, made of the images in the store; at most some megabytes."""
    return SmallPictures(MOST_PICTURES)


def case_log() -> CaseLog:
    """The case log of the settings, migrated; raises `CaseLogUnavailable`, and then tries again at the next call."""
    return _opened_case_log(time.monotonic())


@st.cache_resource(max_entries=1, show_spinner=False)
def _opened_case_log(_asked_at: float) -> CaseLog:
    # Streamlit lets one open at a time. Whoever waited meanwhile is told what came of it: each would else try after the
    # other, for seconds each.
    if _failed_opening and _failed_opening[-1][0] > _asked_at:
        raise CaseLogUnavailable(str(_failed_opening[-1][1]))
    try:
        if settings().is_case_log_read_only:
            return open_without_key(settings().database_url, image_store())
        return open_case_log(settings().database_url, image_store(), case_key())
    except CaseLogUnavailable as error:
        _failed_opening.append((time.monotonic(), error))
        raise


_failed_opening: deque[tuple[float, CaseLogUnavailable]] = deque(maxlen=1)


@st.cache_resource(max_entries=1, show_spinner=False)
def ended_sign_ins() -> EndedSignIns:
    """Which sign-ins were ended before their time, as the case log knows."""
    return EndedSignIns(case_log)
