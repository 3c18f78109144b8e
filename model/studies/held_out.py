"""Images that a network was not trained on, one a lesion, and that network: what measures a heatmap looks at.

An artifact's ensemble has no such images but the locked ones: each of its members was trained on other folds. So each
image is answered by the members that were not trained on its fold, as out-of-fold predictions are, and the locked test
lesions stay unseen.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from data.datasets.ham10000 import DatasetError, image_path, mask_path
from model.images.decoding import decode_image
from model.images.framing import AS_FRAMED, Preparation, to_network_input
from model.images.rejection import RgbImage
from model.inference.artifact import Artifact, ArtifactMismatch
from model.inference.calibration import decide
from model.measures.metrics import Array, Booleans

# Of the draw of images, of the halves that thresholds are chosen on, and with an image's number of its noise.
STUDY_SEED = 1
# A pixel of a resized mask, 0-255, is lesion above it.
MASK_LEVEL = 127


@dataclass(frozen=True)
class StudyImage:
    """One image of the study.

    Attributes:
        image_id, lesion_id: as in HAM10000.
        fold: the fold it lies in; networks that were trained on the others answer it.
        number: its place in the draw, from 0; with `STUDY_SEED` the seed of its noise.
    """

    image_id: str
    lesion_id: str
    fold: int
    number: int


@dataclass(frozen=True)
class HeldOutNetwork:
    """The members that were not trained on a fold, as the two files of an artifact."""

    litert_path: Path
    keras_path: Path


def draw_images(artifact: Artifact, images: int) -> list[StudyImage]:
    """Draw images that a served network was not trained on, one a lesion, the classes in turn.

    Any first part of the list is drawn in the same way, so that what is measured on fewer images is measured on the
    first of them.

    Args:
        artifact: its out-of-fold predictions say which image lies in which fold; those of folds that networks
            answered which are not served are left out.
        images: how many; all lesions where there are fewer.

    Returns:
        The images; a class whose lesions are used up is passed over.

    Raises:
        ArtifactMismatch: the table of out-of-fold predictions cannot be read.
    """
    try:
        rows = pd.read_csv(artifact.out_of_fold_path, usecols=["image_id", "lesion_id", "dx", "fold"])
    except (OSError, ValueError) as error:
        raise ArtifactMismatch(
            f"expected out-of-fold predictions in {artifact.out_of_fold_path}, could not read them ({error}); "
            "restore the file or export the model again"
        ) from error
    rows = rows[rows["fold"].isin(artifact.description.folds_of_members)]
    # Sorted first: the draw does not depend on the order of the rows.
    shuffled = rows.sort_values("image_id").sample(frac=1, random_state=STUDY_SEED).drop_duplicates("lesion_id")
    turn = shuffled.groupby("dx").cumcount()
    drawn = shuffled.assign(turn=turn).sort_values(["turn", "dx"]).head(images)
    return [
        StudyImage(row.image_id, row.lesion_id, int(row.fold), number) for number, row in enumerate(drawn.itertuples())
    ]


def by_fold(images: Iterable[StudyImage]) -> Iterator[tuple[int, list[StudyImage]]]:
    """The images of each fold, folds in their order."""
    images = list(images)
    for fold in sorted({image.fold for image in images}):
        yield fold, [image for image in images if image.fold == fold]


def write_networks(artifact: Artifact, folds: Iterable[int], folder: Path) -> dict[int, HeldOutNetwork]:
    """Take the ensemble of an artifact apart: for each fold the members that were not trained on it. Loads TensorFlow.

    Args:
        artifact: its Keras file holds all members.
        folds: for which.
        folder: there; the files are written into it.

    Raises:
        ArtifactMismatch: no member leaves out a fold, or the file lacks a member.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    from model.networks.ensemble import some_of
    from model.training.export.serving_file import to_litert

    ensemble = keras.models.load_model(artifact.keras_path, compile=False)
    description, written = artifact.description, {}
    for fold in sorted(set(folds)):
        numbers = [number for number, left_out in enumerate(description.folds_of_members) if left_out == fold]
        try:
            network = some_of(ensemble, numbers, description.network.views)
        except (ValueError, IndexError) as error:
            raise ArtifactMismatch(
                f"expected in {artifact.keras_path} a network that was not trained on fold {fold}, found none "
                f"({error}); export the model again"
            ) from error
        files = HeldOutNetwork(folder / f"fold{fold}.tflite", folder / f"fold{fold}.keras")
        files.litert_path.write_bytes(to_litert(network, artifact.height, artifact.width))
        network.save(files.keras_path)
        written[fold] = files
    return written


def load_input(dataset: Path, image_id: str, height: int, width: int, preparation: Preparation = AS_FRAMED) -> RgbImage:
    """An image as a network sees it that was trained on images so prepared, (height, width, 3) uint8 RGB 0-255.

    Raises:
        DatasetError: the image is missing.
    """
    path = image_path(dataset, image_id)
    if path is None:
        raise DatasetError(f"expected {image_id}.jpg in {dataset}, found none; run: python -m data.download")
    network_input, _ = to_network_input(decode_image(path.read_bytes()), height, width, preparation)
    return network_input


def load_mask(dataset: Path, image_id: str, height: int, width: int) -> Booleans:
    """The lesion mask of an image, framed like it: (height, width) bool, True on the lesion.

    Raises:
        DatasetError: the mask is missing.
    """
    path = mask_path(dataset, image_id)
    if path is None:
        raise DatasetError(
            f"expected the lesion mask of {image_id} in {dataset}, found none; "
            "run: python -m data.download --part masks"
        )
    levels, _ = to_network_input(decode_image(path.read_bytes()), height, width)
    return levels[..., 0] > MASK_LEVEL


def probabilities_of(logits: Sequence[float] | np.ndarray, artifact: Artifact) -> Array:
    """(C,) calibrated probabilities of one image's logits."""
    return artifact.calibration.probabilities(np.asarray(logits, dtype=np.float64))


def predicted_class(logits: np.ndarray, artifact: Artifact) -> int:
    """Position of the class that stands out in one image's logits, whose heatmap is measured."""
    prior = np.asarray(artifact.calibration.prior)
    return int(decide(probabilities_of(logits, artifact), prior, artifact.task.is_ordinal))
