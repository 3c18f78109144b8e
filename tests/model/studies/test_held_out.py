"""Which images the heatmaps are measured on, and by which networks: none that was trained on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.datasets.ham10000 import DatasetError, image_path, mask_path
from data.tasks.skin import SKIN
from model.inference.artifact import DEFAULT_ARTIFACT, OUT_OF_FOLD_FILE, Artifact, ArtifactMismatch, load_artifact
from model.inference.runtimes import LiteRTClassifier
from model.studies.held_out import by_fold, draw_images, load_input, load_mask, predicted_class, write_networks
from tests.support.dashboard import write_artifact
from tests.support.tiny_dataset import write_tiny_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dataset(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return load_artifact(write_artifact(tmp_path))


def write_predictions(artifact: Artifact, dx: list[str]) -> None:
    """One lesion an image, dealt into two folds in turn."""
    names = [f"{number:02d}" for number in range(len(dx))]
    table = pd.DataFrame({"image_id": names, "lesion_id": names, "dx": dx, "fold": np.arange(len(dx)) % 2})
    table.to_csv(artifact.out_of_fold_path, index=False)


def test_draw_takes_one_image_a_lesion_the_classes_in_turn_with_its_fold(artifact: Artifact) -> None:
    # Made-up predictions: six lesions a class, every second one with two images.
    rows = pd.read_csv(artifact.out_of_fold_path).assign(fold=lambda table: table.index % 2).set_index("image_id")
    rows.to_csv(artifact.out_of_fold_path)
    drawn = draw_images(artifact, 14)
    assert [rows.at[one.image_id, "dx"] for one in drawn] == [*SKIN.codes, *SKIN.codes]
    assert all(rows.at[one.image_id, "lesion_id"] == one.lesion_id for one in drawn)
    assert [one.fold for one in drawn] == [rows.at[one.image_id, "fold"] for one in drawn]
    assert [one.number for one in drawn] == list(range(14))
    assert len({one.lesion_id for one in draw_images(artifact, 100)}) == len(draw_images(artifact, 100)) == 42


def test_draw_leaves_out_folds_whose_network_is_not_served(artifact: Artifact) -> None:
    rows = pd.read_csv(artifact.out_of_fold_path).assign(fold=lambda table: table.index % 5)
    rows.to_csv(artifact.out_of_fold_path, index=False)
    assert artifact.description.folds_of_members == (0, 1)
    assert {one.fold for one in draw_images(artifact, 100)} == {0, 1}


def test_smaller_draw_is_the_first_part_of_a_larger_one_whatever_the_order_of_the_rows(artifact: Artifact) -> None:
    few, many = draw_images(artifact, 5), draw_images(artifact, 14)
    assert few == many[:5]
    pd.read_csv(artifact.out_of_fold_path).iloc[::-1].to_csv(artifact.out_of_fold_path, index=False)
    assert draw_images(artifact, 14) == many


def test_class_whose_lesions_are_used_up_is_passed_over(artifact: Artifact) -> None:
    dx = ["df"] + ["nv"] * 3
    write_predictions(artifact, dx)
    assert [dx[int(one.image_id)] for one in draw_images(artifact, 100)] == ["df", "nv", "nv", "nv"]


def test_images_of_a_fold_stand_together_in_their_order(artifact: Artifact) -> None:
    write_predictions(artifact, ["nv"] * 5)
    folds = dict(by_fold(draw_images(artifact, 5)))
    assert list(folds) == [0, 1] and [len(images) for images in folds.values()] == [3, 2]
    assert all(image.fold == fold for fold, images in folds.items() for image in images)
    assert [image.number for image in folds[0]] == sorted(image.number for image in folds[0])


def test_table_without_folds_is_named(artifact: Artifact) -> None:
    (artifact.folder / OUT_OF_FOLD_FILE).write_text("image_id,lesion_id,dx\n")
    with pytest.raises(ArtifactMismatch, match=rf"expected out-of-fold predictions in .*{OUT_OF_FOLD_FILE}.*'fold'"):
        draw_images(artifact, 1)


def test_mask_lies_on_its_image(dataset: Path) -> None:
    network_input, mask = (load(dataset, "ISIC_0000", 192, 256) for load in (load_input, load_mask))
    assert network_input.shape == (192, 256, 3) and network_input.dtype == np.uint8
    assert mask.shape == (192, 256) and mask.dtype == bool
    # The lesion of the made-up images has half the green of the skin.
    assert network_input[..., 1][mask].mean() < 100 < 170 < network_input[..., 1][~mask].mean()


@pytest.mark.parametrize(
    ("kept", "load", "message"),
    [
        (mask_path, load_input, r"expected .*\.jpg in .*python -m data\.download$"),
        (image_path, load_mask, "the lesion mask of .*--part masks$"),
    ],
)
def test_missing_file_is_named(dataset: Path, tmp_path: Path, kept, load, message: str) -> None:  # type: ignore[no-untyped-def]
    path = kept(dataset, "ISIC_0000")
    copy = tmp_path / path.relative_to(dataset)
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    with pytest.raises(DatasetError, match=message):
        load(tmp_path, "ISIC_0000", 192, 256)


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("default")  # of TensorFlow and Keras, of their own deprecations
def test_network_that_was_not_trained_on_a_fold_answers_as_its_member_does(dataset: Path, tmp_path: Path) -> None:
    artifact = load_artifact(DEFAULT_ARTIFACT)
    fold = artifact.description.split.out_of_fold[1]
    network_input = load_input(dataset, "ISIC_0000", artifact.height, artifact.width)
    files = write_networks(artifact, [fold], tmp_path)[fold]
    alone = LiteRTClassifier(artifact, serving_file=files.litert_path).forward(network_input)
    together = LiteRTClassifier(artifact).forward(network_input)
    numbers = [number for number, left_out in enumerate(artifact.description.split.out_of_fold) if left_out == fold]
    np.testing.assert_allclose(alone.logits, together.member_logits[numbers].mean(axis=0), atol=0.02)
    assert np.abs(alone.logits - together.logits).max() > 0.2  # and not as the ensemble
    assert alone.maps.shape == together.maps.shape
    assert predicted_class(alone.logits, artifact) in range(len(SKIN.codes))
    with pytest.raises(ArtifactMismatch, match="a network that was not trained on fold 17, found none"):
        write_networks(artifact, [17], tmp_path)
