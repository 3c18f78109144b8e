"""The dataset of the task that this session looks at: its tables, its images and small pictures of them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from dashboard.resources import models
from dashboard.resources.pictures import PictureFolder, small_jpeg
from dashboard.settings import LOCAL, OF_MODEL, ROOT, settings
from data.datasets.appearance import load_appearance
from data.datasets.cohort import stated
from data.datasets.ham10000 import DatasetError, count_images_and_lesions, load_counts, mask_path
from data.datasets.near_copies import load_near_copies
from model.batch.dataset import image_content, metadata_of
from model.batch.sources import SourceUnavailable
from model.images.decoding import decode_image
from model.images.rejection import ImageRejected

# Small pictures of the dataset on disk, of about 15 kB each: all of HAM10000, and no more.
MOST_THUMBNAILS = 12_000
# What an address names an image of the dataset by.
IMAGE_PARAMETER = "image"

_log = logging.getLogger(__name__)


def dataset_place() -> Path | str | None:
    """Where the images of the task's dataset lie, a folder or `s3://bucket/prefix`; None where no setting says so."""
    places, key = settings().dataset_dir, models.task().key
    return places.get(key) or (places.get(OF_MODEL) if key == models.tasks()[0].key else None)


def metadata() -> pd.DataFrame | None:
    """The metadata of the dataset folder, or None where no folder is set; raises `DatasetError`."""
    folder = dataset_place()
    return None if folder is None else _metadata(folder, models.task().codes)


@st.cache_resource(max_entries=models.MOST_MODELS, show_spinner=False)
def _metadata(place: Path | str, codes: tuple[str, ...]) -> pd.DataFrame:
    return metadata_of(place, codes)


def counts() -> pd.DataFrame | None:
    """Image and lesion counts of the dataset folder, or the committed ones where it is not set or cannot be read.

    None where the task's dataset has no committed ones.
    """
    folder, of_task = dataset_place(), models.task()
    try:
        return committed_counts(of_task.dataset.counts) if folder is None else _counts(folder, of_task.codes)
    except DatasetError as error:
        _log.warning("the dataset folder cannot be read: %s", error)
        return committed_counts(of_task.dataset.counts)


@st.cache_resource(max_entries=models.MOST_MODELS, show_spinner=False)
def _counts(place: Path | str, codes: tuple[str, ...]) -> pd.DataFrame:
    return count_images_and_lesions(_metadata(place, codes))


@st.cache_resource(max_entries=models.MOST_MODELS, show_spinner=False)
def committed_counts(file: str) -> pd.DataFrame | None:
    """Image and lesion counts that come along, of a file of `data`; None where the task names none."""
    return load_counts(ROOT / "data" / file) if file else None


def stated_facts() -> tuple[str, ...]:
    """Of age, site, sex and confirmation, what the dataset states of any image; none where nothing is counted."""
    table = counts()
    return () if table is None else stated(table)


def appearance() -> pd.DataFrame | None:
    """How the images of the task's dataset look, one row an image; None where none were measured.

    Where there is a dataset folder that can be read, of its images alone.
    """
    file, folder = models.task().dataset.appearance, dataset_place()
    if not file:
        return None
    try:
        return _appearance(file) if folder is None else _appearance_of(file, folder, models.task().codes)
    except DatasetError:
        return _appearance(file)


@st.cache_resource(max_entries=models.MOST_MODELS, show_spinner=False)
def _appearance(file: str) -> pd.DataFrame:
    return load_appearance(ROOT / "data" / file)


# To look up ten thousand ids takes longer than all else that a filter does with them.
@st.cache_resource(max_entries=models.MOST_MODELS, show_spinner=False)
def _appearance_of(file: str, place: Path | str, codes: tuple[str, ...]) -> pd.DataFrame:
    measured = _appearance(file)
    return measured[measured["image_id"].isin(_metadata(place, codes)["image_id"])]


def near_copies() -> pd.DataFrame | None:
    """Pairs of images of the task's dataset that are nearly the same; None where none were looked for."""
    file = models.task().dataset.near_copies
    return _near_copies(file) if file else None


@st.cache_resource(max_entries=models.MOST_MODELS, show_spinner=False)
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
        picture = small_jpeg(decode_image(content))
    except (OSError, ImageRejected) as error:
        _log.warning("%s of the dataset cannot be shown: %s", image_id, type(error).__name__)
        return None
    kept.put(name, picture)
    return picture


@st.cache_resource(max_entries=1, show_spinner=False)
def _kept_thumbnails() -> PictureFolder:
    return PictureFolder(LOCAL / "thumbnails", MOST_THUMBNAILS)


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
