"""Options of training and export: without masks, for another task, on another network's weights; and what is refused.

In this process, on the quickest backbone, at the smallest size.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.tasks.known import TASKS
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import Task
from model.inference.artifact import DEFAULT_ARTIFACT
from tests.support.tiny_dataset import write_tiny_dataset

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]

QUICK = ("--backbone", "xception_small", "--init", "none", "--limit", "14", "--batch-size", "14")
QUICK += ("--height", "64", "--width", "64", "--head-epochs", "0", "--low-resolution-epochs", "1")
QUICK += ("--middle-resolution-epochs", "0", "--full-resolution-epochs", "0")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dataset(tmp_path_factory.mktemp("ham10000"))


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Task:
    """Three grades, which the program has never heard of."""
    toy = replace(
        RETINA,
        key="toy",
        classes=tuple(replace(one, code=f"t{number}") for number, one in enumerate(RETINA.classes[:3])),
        question=replace(RETINA.question, positives=("t2",)),
        further=(),
        gravest="t2",
        look_alike="t1",
        dataset=replace(RETINA.dataset, commonest="t0"),
    )
    monkeypatch.setitem(TASKS, toy.key, toy)
    return toy


def train(dataset: Path, run: Path, *options: str) -> int:
    from model.train import main
    from tests.support.quick_training import untraced

    with untraced():
        return main(["--dataset", str(dataset), "--run", str(run), *QUICK, *options])


def recipe_of(dataset: Path, *options: str):  # type: ignore[no-untyped-def]  # imported late: it loads TensorFlow
    from model.train import build_parser, recipe_from

    return recipe_from(build_parser().parse_args(["--dataset", str(dataset), *options]))


def layer_names(run: Path) -> set[str]:
    import keras

    return {layer.name for layer in keras.models.load_model(run / "network.keras", compile=False).layers}


def test_branch_that_is_taught_no_lesion_is_not_called_so(dataset: Path, tmp_path: Path) -> None:
    assert train(dataset, tmp_path / "run", "--lesion-weight", "0", "--map-weight", "0") == 0
    names = layer_names(tmp_path / "run")
    assert "attention" in names and "lesion" not in names
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert np.isfinite(history["loss"]).all() and not {"lesion_loss", "map_loss"} & set(history)


def test_dataset_without_masks_is_trained_on_without_the_branch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = write_tiny_dataset(tmp_path / "plain", has_masks=False)
    assert train(plain, tmp_path / "run") == 0
    assert "no lesion masks" in capsys.readouterr().out
    assert not {"attention", "lesion"} & layer_names(tmp_path / "run")
    recipe = recipe_of(plain)
    assert (recipe.lesion_branch, recipe.lesion_weight, recipe.map_weight) == (False, 0, 0)
    # Asked for by name, it needs them.
    assert train(plain, tmp_path / "other", "--lesion-branch") == 2
    assert "expected the lesion mask of" in capsys.readouterr().err


def test_another_task_is_trained_exported_and_stated(tmp_path: Path, toy: Task) -> None:
    from model.export import main as export_main
    from model.inference.artifact import load_artifact
    from model.inference.runtimes import LiteRTClassifier

    folder = write_tiny_dataset(tmp_path / "dataset", codes=toy.codes, has_masks=False)
    run, output = tmp_path / "run", tmp_path / "artifact"
    assert train(folder, run, "--task", "toy") == 0
    assert export_main(["--run", str(run), "--output", str(output)]) == 0
    artifact = load_artifact(output)
    assert (artifact.name, artifact.task) == ("toy", toy)
    assert artifact.manifest["classes"] == list(toy.codes)
    assert artifact.manifest["positive"] == ["t2"]
    assert artifact.manifest["conformal"]["sets"]["method"] == "contiguous-class-conditional"
    assert "expected grade" in artifact.manifest["decision"]
    assert artifact.calibration.population == toy.dataset.population
    written = (output / "manifest.json").read_text()
    assert "HAM10000" not in written and "dermoscop" not in written
    served = LiteRTClassifier(artifact).forward(np.zeros((64, 64, 3), dtype=np.uint8))
    assert served.logits.shape == (3,) and served.lesion is None
    assert {f"logit_{code}" for code in toy.codes} < set(pd.read_csv(artifact.out_of_fold_path).columns)


def test_defaults_of_a_phase_are_the_backbone_s(dataset: Path) -> None:
    from model.networks.backbones import BACKBONES
    from model.training.phases import plan_phases

    recipe = recipe_of(dataset)
    assert (recipe.backbone, recipe.lesion_branch, recipe.task) == ("mobilenet_v2", True, "skin")
    assert (recipe.middle_resolution_from, recipe.full_resolution_from) == ("block_3_expand", "block_6_expand")
    sizes = [(phase.height, phase.width) for phase in plan_phases(recipe)]
    assert sizes == [(96, 128), (96, 128), (160, 224), (192, 256)]
    other = recipe_of(dataset, "--backbone", "densenet121", "--full-resolution-from", "pool4_pool")
    assert other.middle_resolution_from == BACKBONES["densenet121"].middle_resolution_from
    assert other.full_resolution_from == "pool4_pool"


def test_run_from_before_tasks_and_branches_reads_as_what_it_was(dataset: Path, tmp_path: Path) -> None:
    from model.training.recipe import network_name, read_run

    stored = asdict(recipe_of(dataset))
    for name in ("task", "lesion_branch", "height", "width", "extra"):
        stored.pop(name)
    (tmp_path / "run.json").write_text(json.dumps({"recipe": {**stored, "backbone": "lesion_mobilenet_v2"}}))
    assert read_run(tmp_path) == recipe_of(dataset)
    assert network_name(read_run(tmp_path)) == "lesion_mobilenet_v2"


def test_one_size_in_both_phases(dataset: Path) -> None:
    from model.training.phases import plan_phases

    options = ("--height", "96", "--width", "128", "--low-resolution", "1", "--middle-resolution-epochs", "0")
    recipe = recipe_of(dataset, *options, "--full-resolution-epochs", "0")
    phases = [(phase.height, phase.width, phase.first_trainable) for phase in plan_phases(recipe)]
    assert phases == [(96, 128, "head"), (96, 128, "image")]
    for wrong in ("0", "1.5"):
        with pytest.raises(SystemExit):
            recipe_of(dataset, "--low-resolution", wrong)


def test_augmentation_is_as_much_as_was_asked_for() -> None:
    import tensorflow as tf

    from model.training.batches import augment

    # One colour: only what changes colours can be seen.
    plain = tf.constant(np.full((8, 48, 64, 4), (200, 100, 50, 255)), tf.uint8)
    striped = tf.constant(np.random.default_rng(0).integers(0, 256, (8, 48, 64, 4)), tf.uint8)
    seed = tf.constant([1, 2], tf.int64)
    for images, unchanged in ((plain, {"none", "geometry"}), (striped, {"none"})):
        for name in ("none", "geometry", "all"):
            pixels, masks = augment(images, seed, name)
            assert pixels.shape == (8, 48, 64, 3) and masks.shape == (8, 48, 64, 1)
            assert np.allclose(pixels, images[..., :3], atol=1e-3) == (name in unchanged), name


def test_question_alone_is_trained_on_the_same_lesions(dataset: Path, tmp_path: Path) -> None:
    import keras

    from data.datasets.ham10000 import load_metadata
    from data.datasets.splits import split_by_lesion
    from model.export import main as export
    from model.training.recipe import read_run, select_rows, task_of

    run = tmp_path / "run"
    assert train(dataset, run, "--question-alone", "--no-lesion-branch") == 0
    assert keras.models.load_model(run / "network.keras", compile=False).output_shape == (None, 2)
    metadata, alone = load_metadata(dataset), replace(read_run(run), limit=None)
    assert task_of(alone).codes == ("not_malignant", "is_malignant")
    parts, seven = select_rows(metadata, alone), select_rows(metadata, replace(alone, question_alone=False))
    for part, same in zip(parts, seven, strict=True):
        # Split by the seven diagnoses, then named by their sides: the same images, and no locked one.
        assert list(part["image_id"]) == list(same["image_id"])
        assert [dx == "is_malignant" for dx in part["dx"]] == [SKIN.is_positive(dx) for dx in same["dx"]]
        assert not set(part["image_id"]) & set(metadata["image_id"][split_by_lesion(metadata) == "test"])
    assert export(["--run", str(run), "--output", str(tmp_path / "artifact")]) == 2
    assert not (tmp_path / "artifact").exists()


def test_question_alone_and_extra_images_are_not_combined(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(dataset, tmp_path / "run", "--question-alone", "--extra", str(dataset)) == 2
    assert "leave one out" in capsys.readouterr().err


def write_run(folder: Path, recipe: object) -> Path:
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"recipe": asdict(recipe)}))  # type: ignore[call-overload]
    return folder


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--dataset", "nowhere"), "expected HAM10000_metadata.csv"),
        (("--init", "imagenet"), "trained from scratch"),
        (("--init", "{run}"), "expected lesion_xception_small of task skin"),
        (("--init", "{artifact}"), "found lesion_mobilenet_v2 of task skin"),
        (("--run", "{run}"), "already holds a run"),
        (("--run", "{run}", "--resume"), "another init, backbone"),
        (("--extra", "nowhere"), "expected HAM10000_metadata.csv"),
    ],
)
def test_training_says_what_is_wrong_and_leaves_no_run(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], expected: str
) -> None:
    run = write_run(tmp_path / "earlier", recipe_of(dataset))
    given = [option.format(run=run, artifact=DEFAULT_ARTIFACT) for option in options]
    assert train(dataset, tmp_path / "run", *given) == 2
    printed = capsys.readouterr().err
    assert expected in printed and "Traceback" not in printed
    assert not (tmp_path / "run").exists()


def test_export_says_what_is_wrong(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], toy: Task
) -> None:
    from model.export import main

    recipe = recipe_of(dataset)
    unfinished = str(write_run(tmp_path / "unfinished", recipe))
    of_toy = str(write_run(tmp_path / "toy", replace(recipe, task="toy")))
    unknown = str(write_run(tmp_path / "unknown", replace(recipe, task="nails")))
    for options, expected in (
        ([str(tmp_path / "nowhere")], "expected run.json of model.train"),
        ([unfinished], "finish the run"),
        ([unfinished, of_toy], "expected runs of one task, received skin"),
        ([unknown], "received 'nails'"),
        ([unfinished, "--dataset", str(tmp_path)], "expected HAM10000_metadata.csv"),
    ):
        assert main(["--output", str(tmp_path / "artifact"), "--run", *options]) == 2
        printed = capsys.readouterr().err
        assert expected in printed and "Traceback" not in printed


def test_card_of_a_task_without_its_own_speaks_of_that_task() -> None:
    from model.training.export.card import INTENDED_USE, card_of

    assert card_of(SKIN).intended_use == INTENDED_USE
    card = card_of(RETINA)
    text = " ".join((card.intended_use, *card.not_tested))
    assert "retinal photograph" in text and "APTOS 2019" in text and "Macular oedema" in text
    assert "skin" not in text and "HAM10000" not in text and "not a medical device" in text
