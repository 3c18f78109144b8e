"""Which task and model this session looks at. The address names the task, so that reload, bookmark and link keep it."""

from __future__ import annotations

import streamlit as st

from dashboard.access import wording
from dashboard.resources import models
from model.inference.artifact import Artifact, ArtifactMismatch

PARAMETER = "task"
TASK_LABEL, MODEL_LABEL = "Task", "Model"
MODEL_WIDTH = 360  # pixels
_TASK, _MODEL = "shell_task", "shell_model"
# What an address says of any task: the section of Evaluation, and a saved case, which has a task of its own.
_OF_ANY_TASK = ("section", "case")
# How keys begin of what was chosen for the thresholds, classes and samples of another model, or of another task.
_OF_A_MODEL = ("evaluation_", "dataset_")
_OF_A_TASK = ("review_sample", "review_operating_point")


def query() -> dict[str, str]:
    """What a link to another page carries, so that it keeps the task in a tab of its own; nothing for the first one."""
    key = models.task().key
    return {} if key == models.tasks()[0].key else {PARAMETER: key}


def follow_address() -> None:
    """Take over the task that the address names, and let the address name that of this session.

    An address without a task leaves it as it is, at first that of the settings: it is that of the navigation bar.
    """
    by_task = _models()
    if not by_task:
        return  # the pages that need a model say so
    asked = st.query_params.get(PARAMETER)
    if asked is None:
        if named := query():
            st.query_params.update(named)
    elif asked not in by_task:
        st.info(wording.unknown_task(asked, models.task().name), icon=":material/link_off:")
    elif asked != models.task().key:
        _choose_task(by_task[asked])


def selectors() -> None:
    """The task, and the model where a task has several; nothing where there is nothing to choose."""
    by_task = _models()
    if not by_task:
        return
    of_task = {str(one.folder): one for one in by_task[models.task().key]}
    with st.container(horizontal=True, vertical_alignment="bottom", key="shell_choice"):
        if len(by_task) > 1:
            # Not as its default: the address may have moved it.
            st.session_state[_TASK] = models.task().key
            st.segmented_control(
                TASK_LABEL,
                list(by_task),
                format_func=lambda key: by_task[key][0].task.name,
                required=True,
                key=_TASK,
                on_change=_take_task,
            )
        if len(of_task) > 1:
            st.session_state[_MODEL] = models.model_folder()
            st.selectbox(
                MODEL_LABEL,
                list(of_task),
                format_func=lambda folder: f"{of_task[folder].name} {of_task[folder].version}",
                key=_MODEL,
                on_change=_take_model,
                width=MODEL_WIDTH,
            )


def _models() -> dict[str, list[Artifact]]:
    """The models there are by the key of their task, those of the settings first; none where these cannot be used."""
    try:
        offered = models.artifacts()
    except ArtifactMismatch:
        return {}
    keys = dict.fromkeys(one.task.key for one in offered)
    return {key: [one for one in offered if one.task.key == key] for key in keys}


def _take_task() -> None:
    open_task(st.session_state[_TASK])


def open_task(key: str) -> None:
    """Callback: look at another task; filters, cohorts and images in the address are about the one before."""
    _choose_task(_models()[key])
    kept = {name: st.query_params.get_all(name) for name in _OF_ANY_TASK if name in st.query_params}
    st.query_params.from_dict(kept | {PARAMETER: [key]})


def _choose_task(of_task: list[Artifact]) -> None:
    models.choose_model(of_task[0])
    _forget((*_OF_A_MODEL, *_OF_A_TASK))


def _take_model() -> None:
    folder = st.session_state[_MODEL]
    models.choose_model(next(one for one in models.artifacts() if str(one.folder) == folder))
    _forget(_OF_A_MODEL)


def _forget(beginnings: tuple[str, ...]) -> None:
    for key in [key for key in st.session_state if str(key).startswith(beginnings)]:
        del st.session_state[key]
