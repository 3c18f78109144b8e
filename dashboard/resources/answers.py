"""What a model makes of an image: of an upload or a case, and of one of the dataset.

What comes of an upload is kept for its session alone; it is nobody else's business.
"""

from __future__ import annotations

import io
import logging
import time
from hashlib import sha256

import streamlit as st
from PIL import Image

from dashboard.resources import dataset, models
from dashboard.resources.pictures import small_jpeg
from model.analysis.analyzer import Analysis
from model.analysis.log_lines import RequestRecord
from model.explain.maps import overlay
from model.explain.neighbours import Neighbour, NeighbourIndex, load_index
from model.images.rejection import MAX_BYTES, ImageRejected
from model.inference.artifact import Artifact

SHOWN_QUALITY = 92  # of the image that is read

_log = logging.getLogger(__name__)


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
    outcome = _outcome(known, max_bytes, models.model_folder() if artifact is None else str(artifact.folder), content)
    if isinstance(outcome, ImageRejected):
        raise outcome.with_traceback(None)  # which would grow from rerun to rerun
    return outcome


# Bounded and for one session only: an upload is nobody else's business. A refusal is kept like an answer, so that a
# rerun neither decodes the image nor writes its line again.
@st.cache_resource(max_entries=4, show_spinner=False, scope="session")
def _outcome(content_sha256: str, max_bytes: int, folder: str, _content: bytes) -> Analysis | ImageRejected:
    model, record, started = models.analyzer_in(folder), RequestRecord(images=1), time.perf_counter()
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
    others = (one for one in models.artifacts() if one.task.key != models.task().key)
    return next((one for one in others if _is_answered(content_sha256, str(one.folder), content)), None)


@st.cache_resource(max_entries=16, show_spinner=False, scope="session")
def _is_answered(content_sha256: str, folder: str, _content: bytes) -> bool:
    try:
        return models.analyzer_in(folder).run(_content).answer is not None
    except ImageRejected:
        return False


def stability(image_sha256: str, dx: str, analysis: Analysis) -> float:
    """How steady the heatmap of a class of an analysed image is (two more forward passes); see `Analyzer.stability`."""
    return _stability(image_sha256, dx, models.model_folder(), analysis)


# Like the upload it is computed of; the bytes are known by their hash.
@st.cache_resource(max_entries=28, show_spinner=False, scope="session")
def _stability(image_sha256: str, dx: str, folder: str, _analysis: Analysis) -> float:
    return models.analyzer_in(folder).stability(_analysis, dx)


def shown_image(analysis: Analysis) -> bytes:
    """The image of an analysis as JPEG for the screen, made once while the session looks at it."""
    return _shown_image(analysis.image_sha256, analysis.image.shape, analysis)


@st.cache_resource(max_entries=4, show_spinner=False, scope="session")
def _shown_image(image_sha256: str, shape: tuple[int, ...], _analysis: Analysis) -> bytes:
    file = io.BytesIO()
    Image.fromarray(_analysis.image).save(file, "JPEG", quality=SHOWN_QUALITY)
    return file.getvalue()


def heatmap_thumbnail(image_id: str, dx: str) -> bytes | None:
    """A small JPEG of an image of the dataset with the heatmap of a class over it; None where it gets no answer.

    A forward pass at the first call.
    """
    return _heatmap_thumbnail(models.model_folder(), image_id, dx)


@st.cache_resource(max_entries=256, show_spinner=False)
def _heatmap_thumbnail(folder: str, image_id: str, dx: str) -> bytes | None:
    analysis = _of_dataset(folder, image_id)
    if analysis is None or analysis.answer is None:
        return None
    explanation = analysis.answer.explanation
    return small_jpeg(overlay(analysis.image, explanation.heatmap(dx), explanation.framing))


def neighbour_index() -> NeighbourIndex:
    """The training images of this session's model as it sees them; raises `ArtifactMismatch`."""
    return _neighbour_index(models.model_folder())


@st.cache_resource(max_entries=models.MOST_MODELS, show_spinner=False)
def _neighbour_index(folder: str) -> NeighbourIndex:
    return load_index(models.artifact_in(folder).neighbours_path, models.artifact_in(folder).task.codes)


def similar_lesions(image_id: str, lesion_id: str, count: int) -> tuple[Neighbour, ...]:
    """The training lesions that the network finds most like an image of the dataset, without its own.

    Empty where the image gets no answer (a forward pass at the first call, for images that were not trained on).

    Raises:
        ArtifactMismatch: the model cannot be used.
    """
    return _similar_lesions(models.model_folder(), image_id, lesion_id, count)


@st.cache_resource(max_entries=256, show_spinner=False)
def _similar_lesions(folder: str, image_id: str, lesion_id: str, count: int) -> tuple[Neighbour, ...]:
    index = _neighbour_index(folder)
    if known := index.like(image_id, count):
        return known
    analysis = _of_dataset(folder, image_id)
    if analysis is None or analysis.answer is None:
        return ()
    return index.nearest(analysis.output.embedding, count, lesion_id)


def _of_dataset(folder: str, image_id: str) -> Analysis | None:
    """What a model says of an image of the dataset; None where that is not there or cannot be read."""
    content = dataset.dataset_image(image_id)
    try:
        return None if content is None else models.analyzer_in(folder).run(content)
    except ImageRejected:
        return None
