"""Functions that draw how images come to the Review page: intended use, uploader, camera, samples, queue."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from dashboard.access import redraw, task_choice
from dashboard.resources import answers, dataset, models, samples
from dashboard.review import camera, state, wording
from dashboard.review.state import Progress, Upload
from dashboard.shell import keyboard
from data.tasks.known import TASKS
from data.tasks.task import Task
from model.images.decoding import IMAGE_SUFFIXES
from model.images.rejection import MAX_BYTES

# Key of the container of the uploader; those of uploader and camera end with the task, since each has its own queue.
UPLOADER, FILES, CAMERA = "review_upload", "review_files_{}", "review_camera_{}"
PHOTO_BUTTON, QUEUED = "review_photo_fragment", "review_queued"
OPEN_AS = "review_open_as"
_PICKED = "review_go_to"


# --- Intended use ----------------------------------------------------------------------------------------------------


def intended_use() -> bool:
    """Whether the user knows in this session what LesionLens is for; asks where they have not said so."""
    if state.is_intended_use_accepted():
        return True
    with st.container(border=True, width=720, key="review_intended_use"):
        st.header(wording.INTENDED_USE_HEADING)
        st.markdown(models.artifact().description.model_card.intended_use)
        st.markdown(wording.INTENDED_USE_KEPT)
        st.button(wording.INTENDED_USE_BUTTON, type="primary", on_click=state.accept_intended_use)
    return False


# --- Input -----------------------------------------------------------------------------------------------------------


def open_asked_image() -> None:
    """Open the image of the dataset that the address names, once."""
    image_id = st.query_params.get(dataset.IMAGE_PARAMETER)
    if image_id is None:
        return
    content = dataset.dataset_image(image_id)
    if content is None:
        st.info(wording.NO_SUCH_IMAGE, icon=":material/link_off:")
    else:
        state.open_image(f"{image_id}.jpg", content)
    del st.query_params[dataset.IMAGE_PARAMETER]


def image_inputs() -> None:
    """Uploader, camera and samples: what they give is in `state.opened`."""
    st.header(wording.OPEN_HEADING, anchor=wording.OPEN_ANCHOR)
    upload_column, sample_column = st.columns(2, gap="medium")
    with upload_column:
        _photo_button()
        with st.container(key=UPLOADER):
            files = st.file_uploader(
                models.artifact().task.worded(wording.UPLOADER),
                type=[suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES],
                accept_multiple_files=True,
                max_upload_size=MAX_BYTES // 2**20,
                key=_of_task(FILES),
                on_change=_take_changed,
            )
        # The uploader forgets its files when the user looks at another page or refreshes; the queue does not.
        _take([*files, *_camera()])
        _queued()
    with sample_column:
        _sample_buttons()


def _take_changed() -> None:
    """Callback: the user has given or taken away files, so that another image may be shown."""
    state.note_change()
    photograph = st.session_state.get(_of_task(CAMERA))
    _take([*(st.session_state.get(_of_task(FILES)) or ()), *([photograph] if photograph else [])])
    redraw.part(state.SHOWN, PHOTO_BUTTON, QUEUED)


def _of_task(key: str) -> str:
    return key.format(models.task().key)


def _take(files: Sequence[UploadedFile]) -> None:
    state.take_files({file.file_id: partial(_read, file) for file in files})


@st.fragment(key=PHOTO_BUTTON)
def _photo_button() -> None:
    camera.photo_button(UPLOADER, len(state.uploads()))


@st.fragment(key=QUEUED)
def _queued() -> None:
    """Ways back to the user's own images, and to be rid of those that the uploader does not list."""
    _say_of_other_tasks()
    queue = state.uploads()
    if not queue:
        return
    if state.without_room():
        st.warning(wording.without_room(state.without_room()), icon=":material/warning:")
    if state.not_held():
        st.warning(wording.not_held(state.not_held()), icon=":material/warning:")
    if state.chosen_sample() is not None:
        st.button(wording.back_to(len(queue)), on_click=_leave_sample, icon=":material/undo:")
        return
    shown, to_be_closed = shown_image(queue), state.to_be_closed()
    with st.container(horizontal=True):
        if len(queue) > 1 and not state.is_listed(shown) and _close_button(wording.CLOSE_THIS):
            to_be_closed = [shown]
        if not any(map(state.is_listed, queue)) and _close_button(wording.close(len(queue))):
            to_be_closed = queue
    if any(map(state.has_unsaved_work, to_be_closed)):
        _ask_to_close(to_be_closed)
    elif to_be_closed:
        state.close([upload.case_id for upload in to_be_closed])
        st.rerun()


def _say_of_other_tasks() -> None:
    """Which images wait until their task is chosen again: nothing is lost, and nobody should think so."""
    for key, task in TASKS.items():
        images = [upload for upload in state.all_uploads() if upload.task == key != models.task().key]
        if images:
            st.caption(wording.of_other_task(task, len(images), sum(map(state.has_unsaved_work, images))))


def _leave_sample() -> None:
    state.choose_sample(None)
    redraw.whole()


def _close_button(label: str) -> bool:
    return st.button(label, icon=":material/close:")


@st.dialog(wording.CLOSE_HEADING)
def _ask_to_close(images: list[Upload]) -> None:
    unsaved = [upload.name for upload in images if state.has_unsaved_work(upload)]
    st.markdown(wording.not_saved(unsaved))
    with st.container(horizontal=True):
        if st.button(wording.KEEP_OPEN, type="primary"):
            st.rerun()
        case_ids = [upload.case_id for upload in images]
        if st.button(wording.CLOSE_UNSAVED, on_click=state.close, args=(case_ids,)):
            st.rerun()


def _camera() -> list[UploadedFile]:
    worded = models.artifact().task.worded
    attached = worded("For a phone with a {instrument} attached")
    if not st.toggle("Use the camera", key="review_uses_camera", help=attached):
        return []
    through = worded("Photograph through the {instrument}")
    photograph = st.camera_input(through, key=_of_task(CAMERA), on_change=_take_changed)
    return [photograph] if photograph else []


def _read(file: UploadedFile) -> tuple[str, bytes]:
    return file.name, file.getvalue()


def _sample_buttons() -> None:
    task, drawn = models.artifact().task, samples.of_task()
    if drawn.empty:
        return
    st.markdown("Or open a synthetic sample", help=wording.SAMPLES_NOTE)
    with st.container(horizontal=True, gap="small"):
        for sample in drawn.itertuples():
            with st.container(width=80, gap="xxsmall"):
                st.image(
                    samples.thumbnail(sample.file),
                    width="stretch",
                    alt=f"Synthetic sample: {sample.description}",
                )
                st.button(
                    sample.intended_dx,
                    key=f"sample_{sample.file}",
                    help=f"Open {sample.file}: drawn to resemble {task.named(sample.intended_dx).name}",
                    on_click=state.choose_sample,
                    args=(sample.file,),
                    width="stretch",
                )
    st.caption(wording.SAMPLES_NOTE)


def empty_state() -> None:
    """What to do first."""
    st.markdown(models.artifact().task.worded(wording.EMPTY))


# --- Another task ----------------------------------------------------------------------------------------------------


def other_task_hint(upload: Upload) -> None:
    """That an image which this model refused is one for another task, where a model of that task answers it."""
    artifact = answers.artifact_that_answers(upload.content, upload.content_sha256)
    if artifact is None:
        return
    st.info(wording.of_another_task(artifact), icon=":material/swap_horiz:")
    if upload.case_id is not None:
        st.button(wording.open_as(artifact.task), on_click=_open_as, args=(upload, artifact.task), key=OPEN_AS)


def _open_as(upload: Upload, task: Task) -> None:
    state.hand_over(upload, task)
    task_choice.open_task(task.key)
    state.go_to(len(state.uploads()) - 1)
    redraw.whole()


# --- Queue -----------------------------------------------------------------------------------------------------------


def shown_image(uploads: list[Upload]) -> Upload:
    """The image of the queue that is shown; held as the one that a refresh comes back to."""
    upload = uploads[state.position(len(uploads))]
    # Before the analysis, which takes its time: a refresh ends the session and whatever it was about to hold.
    state.keep_draft()
    return upload


def queue_navigation(uploads: list[Upload]) -> None:
    """Where the reader is in a queue of several images, with buttons, keys and a list to go through it."""
    position, length = state.position(len(uploads)), len(uploads)
    if length == 1:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="review_queue"):
        st.markdown(wording.queue_position(position, _progresses(uploads)), width="content")
        _move_button("Previous", -1, length, position == 0, "p")
        _move_button("Next", 1, length, position == length - 1, "n")
        _list_of_images(uploads, position)


def _progresses(uploads: list[Upload]) -> list[Progress]:
    return [state.progress(upload.case_id) for upload in uploads]


def _move_button(label: str, steps: int, length: int, is_disabled: bool, key: str) -> None:
    st.button(label, on_click=_move, args=(steps, length), disabled=is_disabled, shortcut=keyboard.single_key(key))


# What may be done with the images of the queue stands beside the uploader, and is another for each of them.
def _move(steps: int, length: int) -> None:
    state.move(steps, length)
    redraw.whole()


def _go_to() -> None:
    state.go_to(st.session_state[_PICKED])
    redraw.whole()


def _list_of_images(uploads: list[Upload], position: int) -> None:
    """Every image with its state; choosing one shows it."""
    names = [
        wording.queue_entry(number, upload.name, state.progress(upload.case_id))
        for number, upload in enumerate(uploads, start=1)
    ]
    st.session_state[_PICKED] = position
    st.selectbox(
        wording.QUEUE_LIST,
        range(len(uploads)),
        format_func=names.__getitem__,
        key=_PICKED,
        on_change=_go_to,
        label_visibility="collapsed",
        width=320,
    )
