"""Training on a made-up dataset: what is drawn, what is frozen, that a killed run goes on, that the artifact loads."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data.datasets.ham10000 import DatasetError, image_path, load_metadata, mask_path
from data.datasets.splits import split_by_lesion
from data.tasks.skin import SKIN
from model.analysis.analyzer import Analyzer
from model.inference.artifact import load_artifact
from model.inference.runtimes import LiteRTClassifier
from tests.support.tiny_dataset import write_tiny_dataset

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]

ROOT = Path(__file__).resolve().parents[3]
SMALL = (
    "--backbone",
    "tiny",
    "--init",
    "none",
    "--batch-size",
    "8",
    "--limit",
    "32",
    "--head-epochs",
    "1",
    "--low-resolution-epochs",
    "1",
    "--middle-resolution-epochs",
    "0",
    "--averaged-epochs",
    "1",
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dataset(tmp_path_factory.mktemp("ham10000"))


@pytest.fixture(scope="module", autouse=True)
def tiny() -> Iterator[None]:
    """The backbone of `SMALL`."""
    from model.networks.backbones import BACKBONES
    from tests.support.quick_training import TINY

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, TINY.name, TINY)
        yield


def options_of(dataset: Path, run: Path, *more: str) -> list[str]:
    return ["--dataset", str(dataset), "--run", str(run), *SMALL, *more]


def train(dataset: Path, run: Path, *more: str) -> int:
    from model.train import main
    from tests.support.quick_training import untraced

    with untraced():
        return main(options_of(dataset, run, *more))


@dataclass(frozen=True)
class Resumed:
    """A run that was killed in the middle of its second epoch and then resumed to its end.

    Attributes:
        folder: of the run.
        killed: what `state.json` held when the first process was dead.
        files: what the folder held then.
        saved: epoch and step of each checkpoint that the second process wrote, in order.
    """

    folder: Path
    killed: dict[str, Any]
    files: frozenset[str]
    saved: tuple[tuple[int, int], ...]


EVERY_BATCH = ("--full-resolution-epochs", "1", "--checkpoint-minutes", "0")


@pytest.fixture(scope="module")
def resumed(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Resumed:
    from model.training.checkpoints import Checkpoints

    run = tmp_path_factory.mktemp("run")
    # Four batches and the end of the first epoch, then one batch of the second, are six checkpoints.
    command = [sys.executable, "-m", "tests.support.quick_training", "6", *options_of(dataset, run, *EVERY_BATCH)]
    killed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    state, files = json.loads((run / "state.json").read_text()), frozenset(path.name for path in run.iterdir())
    saved: list[tuple[int, int]] = []
    save = Checkpoints.save

    def noted(self: Checkpoints, network: object, progress: Any) -> None:
        saved.append((progress.epoch, progress.step))
        save(self, network, progress)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", noted)
        assert train(dataset, run, *EVERY_BATCH, "--resume") == 0
    return Resumed(run, state, files, tuple(saved))


@pytest.fixture(scope="module")
def finished_run(resumed: Resumed) -> Path:
    return resumed.folder


def test_killed_run_goes_on_where_it_was(resumed: Resumed) -> None:
    assert (resumed.killed["epoch"], resumed.killed["step"]) == (1, 1)
    # Killed between the next checkpoint and its turn: the old one is whole, and the one that counts.
    assert {resumed.killed["checkpoint"], "checkpoint-001-00002.keras", "state.json.tmp"} <= resumed.files
    assert "network.keras" not in resumed.files
    assert resumed.saved == ((1, 2), (1, 3), (1, 4), (2, 0), (2, 1), (2, 2), (2, 3), (2, 4), (3, 0))
    history = pd.read_csv(resumed.folder / "history.csv")
    assert list(history["epoch"]) == [1, 2, 3]
    assert list(history["phase"]) == ["head", "low resolution", "full resolution"]
    assert list(history["width"]) == [128, 128, 256]
    assert history[["lesion_loss", "map_loss", "val_loss", "val_auc", "val_balanced_accuracy"]].notna().all(axis=None)
    pd.testing.assert_frame_equal(history[:1], pd.DataFrame(resumed.killed["history"]))


def test_killed_run_ends_where_it_would_have_ended(dataset: Path, resumed: Resumed, tmp_path: Path) -> None:
    import keras

    assert train(dataset, tmp_path / "run", *EVERY_BATCH) == 0
    one, other = (
        keras.models.load_model(folder / "network.keras", compile=False)
        for folder in (tmp_path / "run", resumed.folder)
    )
    for weights, same in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(weights, same, rtol=0, atol=1e-6)


def test_run_with_other_options_is_not_resumed(
    dataset: Path, finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, expected in ((("--resume", "--seed", "2"), "another seed"), ((), "already holds a run")):
        assert train(dataset, finished_run, "--full-resolution-epochs", "1", *arguments) == 2
        assert expected in capsys.readouterr().err


def test_export_writes_an_artifact_that_answers(dataset: Path, finished_run: Path, tmp_path: Path) -> None:
    from model.export import main as export

    output = tmp_path / "artifact"
    assert export(["--run", str(finished_run), "--output", str(output)]) == 0
    artifact = load_artifact(output)
    assert (artifact.height, artifact.width) == (192, 256)
    metadata = load_metadata(dataset)
    path = image_path(dataset, metadata["image_id"].iloc[0])
    assert path is not None
    analyzer = Analyzer(LiteRTClassifier(artifact))
    output_of_network = analyzer.classifier.forward(analyzer.run(path.read_bytes()).network_input)
    assert output_of_network.logits.shape == (7,)
    assert output_of_network.maps.shape == (12, 16, 7)
    assert output_of_network.lesion.shape == (12, 16)
    assert output_of_network.member_logits.shape == (1, 7)
    predictions = pd.read_csv(artifact.test_predictions_path)
    np.testing.assert_allclose(predictions[list(SKIN.codes)].sum(axis=1), 1, atol=1e-5)
    tested = set(predictions["lesion_id"])
    assert tested <= set(metadata["lesion_id"][split_by_lesion(metadata) == "test"])
    assert str(dataset) not in (output / "manifest.json").read_text()
    assert os.sep + "tmp" not in (output / "manifest.json").read_text()


def test_training_and_validation_never_hold_test_lesions(dataset: Path) -> None:
    from model.train import build_parser, recipe_from
    from model.training.recipe import select_rows

    metadata = load_metadata(dataset)
    recipe = recipe_from(build_parser().parse_args([]))
    training, validation = select_rows(metadata, recipe)
    test = metadata[split_by_lesion(metadata, seed=recipe.split_seed) == "test"]
    lesions = [set(part["lesion_id"]) for part in (training, validation, test)]
    assert not lesions[0] & lesions[1] and not lesions[0] & lesions[2] and not lesions[1] & lesions[2]
    assert select_rows(metadata, replace(recipe, limit=7))[0]["dx"].nunique() == 7


def test_sampling_shares_worked_out_by_hand() -> None:
    from model.training.recipe import draw_epoch, sampling_prior

    # 16 images of class 5, 4 of class 4, 1 of class 0: square roots 4, 2, 1.
    classes = np.repeat([5, 4, 0], [16, 4, 1])
    np.testing.assert_allclose(sampling_prior(classes, "natural", 7)[[0, 4, 5]], [1 / 21, 4 / 21, 16 / 21])
    np.testing.assert_allclose(sampling_prior(classes, "sqrt", 7)[[0, 4, 5]], [1 / 7, 2 / 7, 4 / 7])
    np.testing.assert_allclose(sampling_prior(classes, "balanced", 7)[[0, 4, 5]], [1 / 3, 1 / 3, 1 / 3])
    assert sampling_prior(classes, "balanced", 7)[[1, 2, 3, 6]].sum() == 0
    drawn = draw_epoch(classes, "sqrt", seed=3, epoch=0)
    assert np.bincount(classes[drawn], minlength=6)[[0, 4, 5]].tolist() == [3, 6, 12]
    # Every image of a class is drawn before one is drawn again.
    assert set(drawn[classes[drawn] == 4]) == {16, 17, 18, 19}
    assert draw_epoch(classes, "sqrt", seed=3, epoch=0).tolist() == drawn.tolist()
    assert draw_epoch(classes, "sqrt", seed=3, epoch=1).tolist() != drawn.tolist()
    assert sorted(draw_epoch(classes, "natural", seed=3, epoch=0)) == list(range(21))


def test_second_source_neither_drowns_nor_is_drowned() -> None:
    from model.training.recipe import draw_epoch

    # 100 images of class 0, ten of them of another source; 20 of class 1, all of the dataset's own.
    classes, is_extra = np.repeat([0, 1], [100, 20]), np.arange(120) < 10
    drawn = draw_epoch(classes, "sqrt", seed=3, epoch=0, is_extra=is_extra, extra_share=0.25)
    of_class = np.bincount(classes[drawn])
    np.testing.assert_array_equal(of_class, np.bincount(classes[draw_epoch(classes, "sqrt", seed=3, epoch=0)]))
    extra = drawn[is_extra[drawn]]
    assert len(extra) == round(of_class[0] / 4)
    assert np.ptp(np.bincount(extra, minlength=10)) <= 1, "an image comes again before all have come"
    by_count = draw_epoch(classes, "sqrt", seed=3, epoch=0, is_extra=is_extra)
    np.testing.assert_array_equal(by_count, draw_epoch(classes, "sqrt", seed=3, epoch=0))


def test_label_leaves_open_what_its_source_does_not_tell_apart() -> None:
    from model.training.recipe import labels

    rows = pd.DataFrame({"dx": ["nv", "mel"], "not_told_from": ["bkl df", ""]})
    assert labels(rows, SKIN.codes).tolist() == [[0, 0, -1, -1, 0, 1, 0], [0, 0, 0, 0, 1, 0, 0]]
    assert labels(rows[["dx"]], SKIN.codes).min() == 0


def test_augmentation_is_reproducible_and_keeps_the_range() -> None:
    import tensorflow as tf

    from model.training.batches import augment

    # The fourth channel is a mask.
    pixels = np.random.default_rng(0).integers(0, 256, (8, 48, 64, 4))
    pixels[..., 3] = 0
    pixels[:, :, 32:, 3] = 255
    images = tf.constant(pixels, tf.uint8)
    first, again, other = (augment(images, tf.constant(seed, tf.int64)) for seed in ([1, 2], [1, 2], [1, 3]))
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one.numpy(), same.numpy())
        assert np.abs(one.numpy() - different.numpy()).mean() > 1
        assert one.numpy().min() >= 0 and one.numpy().max() <= 255
    assert first[0].shape == (8, 48, 64, 3) and first[1].shape == (8, 48, 64, 1)


def test_mask_moves_with_its_image() -> None:
    import tensorflow as tf

    from model.training.batches import augment

    # A bright disc on black, and the same disc as mask.
    y, x = np.mgrid[:48, :64]
    disc = (((x - 22) ** 2 + (y - 20) ** 2 < 100) * 255).astype(np.uint8)
    images = tf.constant(np.repeat(np.dstack([disc] * 4)[np.newaxis], 16, axis=0))
    pixels, masks = (part.numpy() for part in augment(images, tf.constant([1, 2], tf.int64)))
    grey = pixels.mean(axis=-1)
    for image, mask in zip(grey, masks[..., 0], strict=True):
        inside, outside = mask > 200, mask < 50
        assert inside.any() and outside.any()
        assert image[inside].mean() > image[outside].mean() + 50


def test_batches_go_on_in_the_middle_of_an_epoch() -> None:
    from model.training.batches import training_batches

    images = np.random.default_rng(0).integers(0, 256, (10, 48, 64, 3), dtype=np.uint8)
    labels = np.eye(7, dtype=np.float32)[np.arange(10) % 7]
    labels[3, 0] = -1  # not told from the first class
    rows = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3])
    masks = np.full((10, 48, 64), 255, dtype=np.uint8)
    outputs = ("logits", "lesion", "class_maps")
    whole, rest = (
        list(training_batches(images, masks, labels, rows, 3, 5, step, outputs).as_numpy_iterator()) for step in (0, 1)
    )
    # Ten rows are three batches of three; the last row waits for another epoch.
    drawn = [[3, 1, 4], [1, 5, 2], [2, 6, 5]]
    assert [targets["logits"].argmax(axis=1).tolist() for _, targets in whole] == drawn
    assert whole[0][1]["logits"][0].tolist() == [-1, 0, 0, 1, 0, 0, 0]
    assert len(rest) == 2
    for (pixels, targets), (again, targets_again) in zip(whole[1:], rest, strict=True):
        np.testing.assert_array_equal(pixels, again)
        for name, target in targets.items():
            np.testing.assert_array_equal(target, targets_again[name])
    # The lesion fills every image, and stands in the channel of the true class alone.
    for (_, targets), classes_drawn in zip(whole, drawn, strict=True):
        assert targets["lesion"].shape == (3, 3, 4, 1) and (targets["lesion"] == 1).all()
        for maps, index in zip(targets["class_maps"], classes_drawn, strict=True):
            assert (maps[..., index] == 1).all() and maps.sum() == 12


@pytest.mark.parametrize("loaded", ["image", "mask"])
def test_broken_file_of_a_dataset_is_named(dataset: Path, tmp_path: Path, loaded: str) -> None:
    from model.training.batches import load_images, load_masks

    copied = Path(shutil.copytree(dataset, tmp_path / "copied"))
    image_id = load_metadata(copied)["image_id"].iloc[1]
    path = image_path(copied, image_id) if loaded == "image" else mask_path(copied, image_id)
    assert path is not None
    path.write_bytes(path.read_bytes()[:500])
    load = load_images if loaded == "image" else load_masks
    with pytest.raises(DatasetError, match=f"{path.name}: expected .* damaged or truncated"):
        load(copied, [image_id], 96, 128)


def test_batches_without_masks_have_the_diagnosis_alone() -> None:
    from model.training.batches import training_batches

    images = np.zeros((4, 48, 64, 3), dtype=np.uint8)
    batches = training_batches(images, None, np.eye(7, dtype=np.float32)[:4], np.arange(4), 2, 5, 0, ("logits",))
    assert [set(targets) for _, targets in batches.as_numpy_iterator()] == [{"logits"}] * 2


def test_only_epochs_of_the_last_phase_are_averaged() -> None:
    from model.train import build_parser, recipe_from
    from model.training.phases import epochs_to_average, plan_epochs

    options = ["--head-epochs", "1", "--low-resolution-epochs", "2", "--middle-resolution-epochs", "0"]
    options += ["--full-resolution-epochs", "3"]
    epochs = plan_epochs(recipe_from(build_parser().parse_args(options)))
    assert [epoch.number for epoch in epochs_to_average(epochs, 2)] == [4, 5]
    assert [epoch.number for epoch in epochs_to_average(epochs, 6)] == [3, 4, 5]


def test_network_is_the_mean_of_the_last_epochs(tmp_path: Path) -> None:
    import keras

    from model.training.averaging import average_epochs

    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    for name, values in (("a", (1.0, 10.0)), ("b", (3.0, 20.0))):
        network.set_weights([np.array([[values[0]]]), np.array([values[1]])])
        network.save_weights(tmp_path / f"{name}.weights.h5")
    average_epochs(network, [tmp_path / "a.weights.h5", tmp_path / "b.weights.h5"])
    assert [float(weight.item()) for weight in network.get_weights()] == [2.0, 15.0]


def test_head_phase_trains_the_dense_layer_only() -> None:
    from model.networks.architecture import BATCH_NORM_MOMENTUM, build_network, first_of_head, set_trainable
    from model.networks.backbones import BACKBONES

    network = build_network(BACKBONES["mobilenet_v2"], 7, 64, 64, None, None)
    set_trainable(network, first_of_head(network), is_batch_norm_frozen=True)
    assert [variable.path.split("/")[0] for variable in network.trainable_variables] == ["class_maps", "class_maps"]
    set_trainable(network, "image", is_batch_norm_frozen=False)
    assert len(network.trainable_variables) > 100
    momenta = {layer.momentum for layer in network.layers if "BatchNormalization" in type(layer).__name__}
    assert momenta == {BATCH_NORM_MOMENTUM}
    with pytest.raises(ValueError, match="expected the name of a layer"):
        set_trainable(network, "block_99", is_batch_norm_frozen=False)


def test_run_goes_on_from_an_earlier_run_of_its_fold_only(dataset: Path, finished_run: Path, tmp_path: Path) -> None:
    from model.train import build_parser, recipe_from
    from model.training.run import RunMismatch, start_network

    options = ["--dataset", str(dataset), "--backbone", "tiny", "--init", str(finished_run), "--validation-fold"]
    start_network(recipe_from(build_parser().parse_args([*options, "0"])))
    with pytest.raises(RunMismatch, match="not without fold 3"):
        start_network(recipe_from(build_parser().parse_args([*options, "3"])))


def write_extra_set(folder: Path, dataset: Path, prefix: str = "CASE_") -> Path:
    """One image of each diagnosis of the dataset under other names, as `data.cases.labelled` writes them: no masks."""
    metadata = load_metadata(dataset).groupby("dx").head(1)
    images = folder / "images"
    images.mkdir(parents=True)
    for image_id in metadata["image_id"]:
        path = image_path(dataset, image_id)
        assert path is not None
        (images / f"{prefix}{image_id}.jpg").write_bytes(path.read_bytes())
    renamed = metadata.assign(image_id=prefix + metadata["image_id"], lesion_id=prefix + metadata["lesion_id"])
    renamed.to_csv(folder / "HAM10000_metadata.csv", index=False)
    return folder


def recipe_of(dataset: Path, *options: str):  # type: ignore[no-untyped-def]
    from model.train import build_parser, recipe_from

    return recipe_from(build_parser().parse_args(["--dataset", str(dataset), *options]))


def test_extra_images_join_training_alone(dataset: Path, tmp_path: Path) -> None:
    from model.training.recipe import extra_rows, select_rows, training_prior

    extra = write_extra_set(tmp_path / "extra", dataset)
    again = write_extra_set(tmp_path / "again", dataset, prefix="OTHER_")
    metadata = load_metadata(dataset)
    plain, recipe = recipe_of(dataset), recipe_of(dataset, "--extra", str(extra), "--extra", str(again))
    for part, same in zip(select_rows(metadata, recipe), select_rows(metadata, plain), strict=True):
        pd.testing.assert_frame_equal(part, same)
    added = extra_rows(metadata, recipe)
    assert len(added) == 14 and added["image_id"].str.startswith(("CASE_", "OTHER_")).all()
    assert extra_rows(metadata, plain).empty
    training = select_rows(metadata, recipe)[0]
    shown = np.sqrt(pd.concat([training, added])["dx"].value_counts().reindex(list(SKIN.codes)).to_numpy())
    np.testing.assert_allclose(training_prior(recipe, metadata), shown / shown.sum())


@pytest.mark.parametrize(("column", "expected"), [("image_id", "image_id ISIC_"), ("lesion_id", "lesion_id HAM_")])
def test_extra_images_of_the_dataset_are_refused(dataset: Path, tmp_path: Path, column: str, expected: str) -> None:
    from model.training.run import train

    extra = write_extra_set(tmp_path / "extra", dataset)
    table = pd.read_csv(extra / "HAM10000_metadata.csv")
    table[column] = table[column].str.removeprefix("CASE_")
    table.to_csv(extra / "HAM10000_metadata.csv", index=False)
    with pytest.raises(DatasetError, match=expected):
        train(recipe_of(dataset, "--extra", str(extra)), tmp_path / "run", is_resumed=False, checkpoint_minutes=1)
    assert not (tmp_path / "run").exists()


def test_two_extra_sets_with_one_image_are_refused(dataset: Path, tmp_path: Path) -> None:
    from model.training.recipe import extra_rows

    extra = str(write_extra_set(tmp_path / "extra", dataset))
    with pytest.raises(DatasetError, match="image_id CASE_"):
        extra_rows(load_metadata(dataset), recipe_of(dataset, "--extra", extra, "--extra", extra))
    with pytest.raises(DatasetError, match="found none"):
        recipe_of(dataset, "--extra", str(tmp_path))


WITHOUT_HEAD = ("--head-epochs", "0", "--full-resolution-epochs", "0")


@pytest.fixture(scope="module")
def extra_and_run(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An extra set, and a finished run that it joined."""
    folder = tmp_path_factory.mktemp("second source")
    extra, run = write_extra_set(folder / "extra", dataset), folder / "run"
    assert train(dataset, run, *WITHOUT_HEAD, "--extra", str(extra)) == 0
    return extra, run


def test_run_with_an_extra_set_says_so_and_cannot_go_on_without_it(
    dataset: Path, extra_and_run: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    from model.inference.artifact import sha256_of
    from model.training.recipe import read_run

    extra, run = extra_and_run
    assert (run / "network.keras").is_file()
    history = pd.read_csv(run / "history.csv")
    assert np.isfinite(history[["loss", "lesion_loss", "map_loss"]]).all(axis=None)
    (stated,) = read_run(run).extra
    assert (stated.folder, stated.images_by_dx, stated.lesions) == (str(extra), (1,) * 7, 7)
    assert stated.metadata_sha256 == sha256_of(extra / "HAM10000_metadata.csv")
    assert train(dataset, run, *WITHOUT_HEAD, "--resume") == 2
    assert "another extra" in capsys.readouterr().err


def test_export_chooses_for_other_clinics_as_well(
    dataset: Path, extra_and_run: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from model.export import main as export

    extra, run = extra_and_run
    options = ["--run", str(run), "--output", str(tmp_path / "artifact"), "--elsewhere"]
    assert export([*options, str(extra)]) == 2
    assert "that no run was trained on" in capsys.readouterr().err
    clinic = write_extra_set(tmp_path / "clinic", dataset, prefix="CLINIC_")
    assert export([*options, str(clinic)]) == 0
    artifact = load_artifact(tmp_path / "artifact")
    manifest, table = artifact.manifest, pd.read_csv(artifact.elsewhere_path)
    assert list(table["dx"].value_counts()) == [1] * 7
    assert "elsewhere_predictions.csv" in manifest["files"]
    own, other = manifest["calibration"]["sources"]
    assert (own["source"], other["source"], other["images"]) == ("HAM10000", "clinic", 7)
    assert all(source["log_loss"] >= source["lowest_log_loss"] - 1e-6 for source in (own, other))
    assert [part["part"] for part in manifest["quality"]["chosen_on"]] == [
        "training",
        "out of fold",
        "clinic, choosing",
    ]
    assert manifest["quality"]["limits"]["edge_ood_score"] <= manifest["quality"]["limits"]["max_ood_score"]
    assert manifest["conformal"]["held_everywhere"]["dx"] == "mel"
    # The training images of the second source are known as well: the gate was fitted with them.
    assert artifact.quality.edge_ood_score < math.inf


def test_images_of_an_extra_set_are_loaded_after_the_dataset_s_with_empty_masks(dataset: Path, tmp_path: Path) -> None:
    from model.training.phases import Phase
    from model.training.recipe import labels, select_rows, training_rows
    from model.training.run import _load_parts

    extra = write_extra_set(tmp_path / "extra", dataset)
    recipe = recipe_of(dataset, "--extra", str(extra), "--limit", "8")
    metadata, low = load_metadata(dataset), Phase("low", 1, 96, 128, "image", False, 1e-3)
    rows = training_rows(metadata, recipe), select_rows(metadata, recipe)[1]
    targets = labels(rows[0], SKIN.codes), labels(rows[1], SKIN.codes)
    training, _ = _load_parts(rows, targets, recipe, low)
    assert training.masks is not None
    assert len(training.images) == len(training.masks) == len(training.rows) == 8 + 7
    assert training.rows["source"].tolist() == [""] * 8 + ["extra"] * 7
    has_mask = training.masks.any(axis=(1, 2))
    assert has_mask[:8].all() and not has_mask[8:].any()
    assert training.images[8:].any(axis=(1, 2, 3)).all()
    (extra / "images" / f"{pd.read_csv(extra / 'HAM10000_metadata.csv')['image_id'][0]}.jpg").unlink()

    with pytest.raises(DatasetError, match=f"in {dataset} or {extra}"):
        _load_parts(rows, targets, recipe, low)
