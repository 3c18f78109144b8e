"""Labels softened by a run that left an image's fold out: who teaches whom, and what a label leaves open stays open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.datasets.ham10000 import NOT_TOLD_FROM, load_metadata
from data.datasets.splits import split_by_lesion
from data.tasks.retina import RETINA
from tests.support.files.eyes import QUICK_OPTIONS, drawn_source

pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]
SHARE = 0.25


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from data.datasets.aptos2019 import write_folder

    folder = tmp_path_factory.mktemp("taught")
    write_folder(drawn_source(folder / "source"), folder / "dataset")
    return folder / "dataset"


@pytest.fixture(scope="module")
def teacher(dataset: Path) -> Path:
    """A finished run of one epoch that left fold 1 out."""
    from model.networks.backbones import BACKBONES
    from model.train import main as train
    from tests.support.quick_training import TINY, untraced

    run = dataset.with_name("teacher")
    with pytest.MonkeyPatch.context() as patch, untraced():
        patch.setitem(BACKBONES, TINY.name, TINY)
        assert train(["--dataset", str(dataset), "--run", str(run), "--validation-fold", "1", *QUICK_OPTIONS]) == 0
    return run


def test_each_image_is_taught_by_the_run_that_never_saw_it(dataset: Path, teacher: Path) -> None:
    from model.training.recipe import labels, training_rows
    from model.training.teachers import softened

    recipe = recipe_of(dataset, "--teacher", str(teacher), "--teacher-share", str(SHARE))
    metadata = load_metadata(dataset, RETINA.codes)
    rows = training_rows(metadata, recipe)
    hard = labels(rows, RETINA.codes)
    soft = softened(hard, rows, metadata, recipe)
    fold = dict(zip(metadata["image_id"], split_by_lesion(metadata, seed=recipe.split_seed), strict=True))
    is_taught = np.array([fold[image_id] == "fold1" for image_id in rows["image_id"]])
    assert 0 < is_taught.sum() < len(rows)
    np.testing.assert_array_equal(soft[~is_taught], hard[~is_taught])
    np.testing.assert_allclose(np.maximum(soft[is_taught], 0).sum(axis=1), 1, rtol=1e-5)
    kept = soft[is_taught][hard[is_taught] == 1]
    assert (kept > 1 - SHARE).all() and (kept < 1).all()


def test_what_a_label_leaves_open_stays_open(dataset: Path, teacher: Path) -> None:
    from model.training.recipe import labels, training_rows
    from model.training.teachers import softened

    recipe = recipe_of(dataset, "--teacher", str(teacher))
    metadata = load_metadata(dataset, RETINA.codes)
    rows = training_rows(metadata, recipe).assign(**{NOT_TOLD_FROM: "dr2"})
    rows = rows[rows["dx"] == "dr1"]
    soft = softened(labels(rows, RETINA.codes), rows, metadata, recipe)
    assert (soft[:, 2] == -1).all()
    np.testing.assert_allclose(np.maximum(soft, 0).sum(axis=1), 1, rtol=1e-5)


def test_a_run_learns_from_its_teacher_and_says_so(dataset: Path, teacher: Path) -> None:
    from model.networks.backbones import BACKBONES
    from model.train import main as train
    from model.training.recipe import read_run
    from tests.support.quick_training import TINY, untraced

    run = dataset.with_name("pupil")
    with pytest.MonkeyPatch.context() as patch, untraced():
        patch.setitem(BACKBONES, TINY.name, TINY)
        words = ["--dataset", str(dataset), "--run", str(run), "--teacher", str(teacher), *QUICK_OPTIONS]
        assert train(words) == 0
    assert read_run(run).teachers == (str(teacher),)
    assert read_run(run).teacher_share == 0.5


@pytest.mark.parametrize(("words", "reason"), [(("--task", "skin"), "teacher of task skin"), ((), "found none")])
def test_a_run_that_cannot_teach_is_refused(
    dataset: Path, teacher: Path, tmp_path: Path, words: tuple[str, ...], reason: str
) -> None:
    from model.training.recipe import RunMismatch
    from model.training.teachers import softened

    unfinished = tmp_path / "run"
    unfinished.mkdir()
    (unfinished / "run.json").write_text((teacher / "run.json").read_text())
    recipe = recipe_of(dataset, "--teacher", str(unfinished), *words)
    with pytest.raises(RunMismatch, match=reason):
        softened(
            np.zeros((0, 5), dtype=np.float32),
            pd.DataFrame({"image_id": []}),
            load_metadata(dataset, RETINA.codes),
            recipe,
        )


def recipe_of(dataset: Path, *words: str):  # type: ignore[no-untyped-def]
    from model.train import build_parser, recipe_from
    from model.training.cloud import places_of

    given = ["--task", "retina", "--dataset", str(dataset), "--no-lesion-branch", *words]
    return recipe_from(build_parser(places_of({})).parse_args(given))
