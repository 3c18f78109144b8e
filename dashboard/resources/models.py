"""The models there are, the one that this session looks at, and what runs it."""

from __future__ import annotations

import logging
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.settings import LOCAL_CLASSIFIER, settings
from data.tasks.known import DEFAULT_TASK, TASKS
from data.tasks.task import Task
from model.analysis.analyzer import Analyzer
from model.explain.keras_worker import KerasWorker
from model.inference.artifact import MANIFEST_FILE, Artifact, ArtifactMismatch, load_artifact
from model.inference.runtimes import LiteRTClassifier

# What each cache of one entry a model holds; the memory of a dashboard grows with those that are looked at.
MOST_MODELS = 4
# Where a session keeps the folder that it has chosen.
CHOSEN_MODEL = "model"

_log = logging.getLogger(__name__)


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
    return artifact_in(model_folder())


def artifact_of(task: Task) -> Artifact | None:
    """The model for a task, whatever this session looks at: its own, or the first of that task; None without any.

    Raises:
        ArtifactMismatch: the model of this session, or that of the settings, cannot be used.
    """
    own = artifact()
    return own if own.task.key == task.key else next((one for one in artifacts() if one.task.key == task.key), None)


@st.cache_resource(max_entries=MOST_MODELS, show_spinner=False)
def artifact_in(folder: str) -> Artifact:
    """The checked weights folder of that name; raises `ArtifactMismatch`."""
    return load_artifact(Path(folder))


def artifacts() -> tuple[Artifact, ...]:
    """The models there are to choose from: the one of the settings, then those beside its folder, by name.

    A folder that cannot be used is left out. Where something else runs the network, that is made for the model of the
    settings alone.

    Raises:
        ArtifactMismatch: the model of the settings cannot be used.
    """
    own = artifact_in(str(settings().model_dir))
    return (own, *_beside(own.folder)) if settings().classifier == LOCAL_CLASSIFIER else (own,)


# Their files are hashed once a process, so a model that comes later is offered after a restart.
@st.cache_resource(max_entries=1, show_spinner=False)
def _beside(folder: Path) -> tuple[Artifact, ...]:
    usable = []
    for manifest in sorted(folder.parent.glob(f"*/{MANIFEST_FILE}")):
        if manifest.parent == folder:
            continue
        try:
            usable.append(artifact_in(str(manifest.parent)))
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


def analyzer(artifact: Artifact | None = None) -> Analyzer:
    """A model (None: that of this session), here or elsewhere, ready to answer; raises `ArtifactMismatch`."""
    return analyzer_in(model_folder() if artifact is None else str(artifact.folder))


@st.cache_resource(max_entries=MOST_MODELS, show_spinner="Loading the model ...")
def analyzer_in(folder: str) -> Analyzer:
    """The model of a weights folder, ready to answer; raises `ArtifactMismatch`."""
    if settings().classifier == LOCAL_CLASSIFIER:
        return Analyzer(LiteRTClassifier(artifact_in(folder)))
    from model.remote.classifier import RemoteClassifier
    from model.remote.endpoints import open_endpoint

    endpoint = open_endpoint(settings().classifier, settings().classifier_token)
    return Analyzer(RemoteClassifier(artifact_in(folder), endpoint))


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
    return KerasWorker(artifact_in(folder).keras_path)
