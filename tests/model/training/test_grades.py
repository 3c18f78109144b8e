"""Grades of retinal photographs from a dataset's own folder to an answer: prepared, trained, exported and predicted.

On drawn photographs, and on some of the real ones where they are at hand; in this process, on the quickest network.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.datasets.aptos2019 import write_folder
from data.datasets.ham10000 import NOT_TOLD_FROM, load_metadata
from data.tasks.retina import RETINA
from model.images.framing import Preparation
from model.inference.artifact import Artifact, load_artifact
from model.predict import main as predict
from model.studies.held_out import draw_images
from model.training.recipe import read_run, select_rows
from tests.support.files.eyes import QUICK_OPTIONS, drawn_source

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module", params=["drawn", "real"])
def dataset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "drawn":
        source = drawn_source(folder / "source")
    else:
        source = request.getfixturevalue("shared_folder") / "aptos2019"
        if not source.is_dir():
            pytest.skip("no APTOS 2019 in ../shared")
    write_folder(source, folder / "dataset")
    return folder / "dataset"


@pytest.fixture(scope="module")
def artifact(dataset: Path) -> Artifact:
    from model.export import main as export
    from model.networks.backbones import BACKBONES
    from model.train import main as train
    from tests.support.quick_training import TINY, untraced

    runs, output = [str(dataset.with_name(f"run{fold}")) for fold in (0, 1)], str(dataset.with_name("artifact"))
    with pytest.MonkeyPatch.context() as patch, untraced():
        patch.setitem(BACKBONES, TINY.name, TINY)
        for fold, run in enumerate(runs):
            told = ["--dataset", str(dataset), "--run", run, "--validation-fold", str(fold)]
            assert train([*told, *QUICK_OPTIONS]) == 0
        assert export(["--run", *runs, "--served", "3", "--output", output]) == 2
        assert export(["--run", *runs, "--served", "1", "--output", output]) == 0
    return load_artifact(Path(output))


def test_artifact_says_how_images_are_prepared_and_what_grades_are_measured_by(artifact: Artifact) -> None:
    assert artifact.task is RETINA and artifact.name == "retina"
    assert artifact.preparation == Preparation("circle", "local_average")
    assert artifact.manifest["input"]["crop"] == "circle"
    assert artifact.conformal.method == "contiguous-class-conditional"
    (further,) = artifact.manifest["further_questions"]
    assert further["question"] == "vision_threatening" and further["positive"] == ["dr3", "dr4"]
    assert [point["target_sensitivity"] for point in further["operating_points"]] == [0.95, 0.9]
    for part in ("metrics", "out_of_fold_metrics"):
        measured = artifact.manifest[part]
        assert 0 <= measured["grade_error"]["value"] <= 4 and len(measured["further_auroc"]) == 1
        assert -1 <= measured["weighted_kappa"]["value"] <= 1
    history = pd.read_csv(artifact.history_path)
    assert history["val_weighted_kappa"].between(-1, 1).all()


def test_one_network_is_served_and_the_other_answered_its_fold(dataset: Path, artifact: Artifact) -> None:
    description, held_out = artifact.description, pd.read_csv(artifact.out_of_fold_path)
    assert (description.network.members, description.split.out_of_fold) == (1, (0, 1))
    assert description.folds_of_members == (0,)
    assert description.calibration.chosen_on.images == len(held_out) and set(held_out["fold"]) == {0, 1}
    own = read_run(dataset.with_name("run0"))
    assert description.training.training.images == len(select_rows(load_metadata(dataset, RETINA.codes), own)[0])
    assert {image.fold for image in draw_images(artifact, len(held_out))} == {0}
    tried = artifact.manifest["conformal"]["tried_out_of_fold"]
    assert set(tried) == {"contiguous", "contiguous-class-conditional"}


def test_nothing_is_measured_on_eyes_that_were_graded_apart(dataset: Path, artifact: Artifact) -> None:
    metadata = load_metadata(dataset, RETINA.codes)
    apart = set(metadata["image_id"][metadata[NOT_TOLD_FROM] != ""])
    measured = [pd.read_csv(path, dtype=str) for path in (artifact.test_predictions_path, artifact.out_of_fold_path)]
    assert apart and all(len(table) and not apart & set(table["image_id"]) for table in measured)


def test_photographs_are_answered_in_grades(dataset: Path, artifact: Artifact, tmp_path: Path) -> None:
    images = [path.resolve() for path in sorted((dataset / "images").iterdir())[::9][:6]]
    output = tmp_path / "out.csv"
    assert predict([*map(str, images), "--artifact", str(artifact.folder), "--output", str(output)]) in (0, 1)
    with output.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["quality"] == "ok"]
    assert rows
    for row in rows:
        shares = np.array([float(row[code]) for code in RETINA.codes])
        assert shares.sum() == pytest.approx(1, abs=1e-5)
        assert float(row["p_referable"]) == pytest.approx(shares[2:].sum(), abs=1e-5)
        held = sorted(RETINA.index(code) for code in row["conformal_set"].split("|"))
        assert held == list(range(held[0], held[-1] + 1))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--task", "skin", "--grade-weight", "1"), "expected grades for --grade-weight"),
        (("--task", "retina", "--grade-weight", "1", "--question-alone"), "expected grades for --grade-weight"),
        (("--task", "skin", "--crop", "circle", "--lesion-branch"), "add --no-lesion-branch"),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], expected: str
) -> None:
    from model.train import main as train

    assert train(["--dataset", str(tmp_path), "--run", str(tmp_path / "run"), *options]) == 2
    assert expected in capsys.readouterr().err


def test_question_alone_of_eyes_that_were_graded_apart(dataset: Path) -> None:
    from model.train import build_parser, recipe_from
    from model.training.recipe import labels, select_rows, task_of

    recipe = recipe_from(build_parser().parse_args(["--dataset", str(dataset), "--task", "retina", "--question-alone"]))
    training, validation = select_rows(load_metadata(dataset, RETINA.codes), recipe)
    targets = labels(training, task_of(recipe).codes)
    assert (targets.max(axis=1) == 1).all() and targets.shape[1] == 2
    assert (validation[NOT_TOLD_FROM] == "").all()
    # Graded 2 and 3, an eye is referable either way; graded 1 and 2, it is not known.
    open_sides = set(training[NOT_TOLD_FROM]) - {""}
    assert open_sides <= {"not_referable", "is_referable"}
