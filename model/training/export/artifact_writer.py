"""The artifact folder of finished training runs: networks into files, answers scored, all of it stated."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from data.datasets.ham10000 import SOURCE, DatasetError, load_metadata
from data.datasets.splits import FOLDS, LEFT_OUT, TEST, split_by_lesion
from model.analysis.quality import Gate, fit_gate
from model.evaluation.operating_points import choose_operating_points
from model.evaluation.predictions import cohort_of
from model.evaluation.results import evaluate, evaluation_to_dict, to_plain
from model.evaluation.subgroups import measure_subgroups
from model.explain.neighbours import NeighbourIndex, fit_index
from model.inference.artifact import (
    ELSEWHERE_FILE,
    GATE_FILE,
    HISTORY_FILE,
    KERAS_FILE,
    LITERT_FILE,
    MANIFEST_FILE,
    NEIGHBOURS_FILE,
    OUT_OF_FOLD_FILE,
    SIGNATURE,
    TEST_PREDICTIONS_FILE,
    load_artifact,
    sha256_of,
)
from model.inference.calibration import Calibration, fit_calibration
from model.inference.manifest import SCHEMA_VERSION
from model.networks.backbones import BACKBONES
from model.networks.dilation import with_finer_maps
from model.networks.ensemble import build_ensemble
from model.training.environment import created_by
from model.training.export.card import card_of
from model.training.export.limits import quality_section
from model.training.export.scoring import Scored, joined, predictions_table, score
from model.training.export.sections import (
    LOCKED_TEST,
    OUT_OF_FOLD,
    TRAINING,
    Runs,
    calibration_section,
    conformal_section,
    decision,
    evidence_section,
    further_section,
    input_section,
    licence,
    metrics_section,
    network_section,
    part_of,
    points_section,
    reliability_section,
    retrieval_section,
    split_section,
    training_section,
)
from model.training.export.serving_file import load_member, save_keras, to_litert
from model.training.history import lineage, write_history
from model.training.recipe import RunMismatch, class_indices, read_run, select_rows, task_of, training_prior

NEIGHBOUR_DIMENSIONS = 64
VIEWS = 1
DEFAULT_RUNS = [Path(f"runs/fold{fold}") for fold in range(FOLDS)]


@dataclass(frozen=True)
class Answers:
    """What the networks answered.

    Attributes:
        held_out: of the network of each run, alone, on the fold it was not trained on.
        training, test: of all that are served together.
        extra: the same, to the extra sets that the first was trained on.
        elsewhere: the same, to held-out images of other clinics; None where there are none.
    """

    held_out: tuple[Scored, ...]
    training: Scored
    test: Scored
    extra: tuple[Scored, ...] = ()
    elsewhere: Scored | None = None

    @property
    def all_held_out(self) -> Scored:
        return joined(self.held_out)


@dataclass(frozen=True)
class Fitted:
    """What is chosen on the answers and written beside the networks.

    Attributes:
        calibration: on the held-out answers.
        gate, index: on the training images.
        training_prior: (C,) class shares that the members saw in training, on average.
        out_of_fold, predictions: tables of the held-out and the locked test answers.
        elsewhere: the same of other clinics.
    """

    calibration: Calibration
    training_prior: NDArray[np.float64]
    gate: Gate
    index: NeighbourIndex
    out_of_fold: pd.DataFrame
    predictions: pd.DataFrame
    elsewhere: pd.DataFrame | None


def export(
    runs: Sequence[Path],
    output: Path,
    name: str,
    version: str,
    dataset: Path | None,
    init_label: str | None,
    views: int = VIEWS,
    elsewhere: Path | None = None,
    has_finer_maps: bool = False,
    served: int | None = None,
) -> Path:
    """Write the artifact of finished runs; see the module docstring.

    Args:
        runs: folders that `model.train` wrote, of one task; backbones and input sizes may differ.
        output: artifact folder; replaced.
        name, version: for the manifest.
        dataset: HAM10000-shaped folder; the runs' own where None.
        init_label: how the manifest calls the initial weights; the file name where None.
        views: of each image that each network sees, see `build_ensemble`.
        elsewhere: folder shaped like HAM10000 with images of other clinics that no run was trained on: calibration,
            sets and gate are chosen to hold for them as well.
        has_finer_maps: class maps of twice the resolution, see `with_finer_maps`.
        served: so many of the first runs' networks are served; all where None.

    Returns:
        `output`, after it was loaded once to check it.

    Raises:
        RunMismatch: a folder holds no finished run, or the runs are not of one task, split and preparation.
        DatasetError: the dataset is not there, or lacks an image.
        ValueError: a network cannot have finer maps, or more are to be served than there are.
    """
    created = _provenance()  # before the first file is written, which would count as a change
    finished = read_runs(runs, dataset, elsewhere, served)
    _keep_what_runs_came_from(finished, output)
    output.mkdir(parents=True, exist_ok=True)
    networks = [
        load_member(folder, recipe.height, recipe.width)
        for folder, recipe in zip(finished.folders, finished.recipes, strict=True)
    ]
    if has_finer_maps:
        networks = [with_finer_maps(network) for network in networks]
    network = _ensemble(finished, range(finished.served), networks, views)
    serving_file = to_litert(network, *finished.input_size)
    save_keras(network, output / KERAS_FILE)
    (output / LITERT_FILE).write_bytes(serving_file)
    answers = _score(finished, networks, views, serving_file)
    fitted = _fit(finished, answers)
    _write_beside(finished, fitted, output)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "version": version,
        "created": created,
        **_of_network(finished, views, network, serving_file, init_label),
        **_of_answers(finished, answers, fitted),
        "files": _files(output),
    }
    (output / MANIFEST_FILE).write_text(json.dumps(to_plain(manifest), indent=2, allow_nan=False) + "\n")
    load_artifact(output)
    return output


def _keep_what_runs_came_from(runs: Runs, output: Path) -> None:
    for folder in runs.folders:
        start = Path(read_run(lineage(folder)[0]).init)
        if start.is_dir() and start.resolve() == output.resolve():
            raise RunMismatch(
                f"{folder} went on from the artifact in {output}: give another --output, then move it there"
            )


def read_runs(
    folders: Sequence[Path], dataset: Path | None, elsewhere: Path | None = None, served: int | None = None
) -> Runs:
    """The runs of these folders and their dataset, whose folder may have moved; raises as `export`."""
    recipes = tuple(read_run(folder) for folder in folders)
    for folder, recipe in zip(folders, recipes, strict=True):
        for what in ("task", "split_seed", "crop", "contrast"):
            first, other = getattr(recipes[0], what), getattr(recipe, what)
            if other != first:
                raise RunMismatch(f"expected runs of one {what}, received {first} in {folders[0]}, {other} in {folder}")
        if recipe.question_alone:
            raise RunMismatch(f"{folder} tells only the sides of the question apart: it is compared, not served")
    served = len(folders) if served is None else served
    if not 1 <= served <= len(folders):
        raise ValueError(f"expected 1 to {len(folders)} of the runs to be served, received {served}")
    place = dataset or Path(recipes[0].dataset)
    metadata = load_metadata(place, task_of(recipes[0]).codes)
    return Runs(
        tuple(folders),
        recipes,
        served,
        place,
        metadata,
        split_by_lesion(metadata, seed=recipes[0].split_seed),
        elsewhere,
    )


def _ensemble(runs: Runs, numbers: Sequence[int], networks: Sequence[keras.Model], views: int) -> keras.Model:
    """The network of some of the runs' networks, the first of which gives the texture."""
    texture_layers = BACKBONES[runs.recipes[numbers[0]].backbone].texture_layers
    return build_ensemble([networks[number] for number in numbers], *runs.input_size, texture_layers, views)


def _score(runs: Runs, networks: Sequence[keras.Model], views: int, serving_file: bytes) -> Answers:
    held_out = []
    for number, recipe in enumerate(runs.recipes):
        # The file of a single network that is served is the artifact's.
        alone = (
            serving_file
            if (number, runs.served) == (0, 1)
            else to_litert(_ensemble(runs, [number], networks, views), *runs.input_size)
        )
        rows = select_rows(runs.metadata, recipe)[1]
        part = f"fold {recipe.validation_fold}, {OUT_OF_FOLD}"
        held_out.append(score(alone, rows, runs.task, runs.dataset, part, runs.preparation))
    training = score(serving_file, runs.training_rows(), runs.task, runs.dataset, TRAINING, runs.preparation)
    test = score(serving_file, runs.test_rows()[0], runs.task, runs.dataset, LOCKED_TEST, runs.preparation)
    extra = [
        score(serving_file, rows, runs.task, folder, folder.name, runs.preparation)
        for folder, rows in runs.extra_rows()
    ]
    return Answers(tuple(held_out), training, test, tuple(extra), _score_elsewhere(runs, serving_file))


def _score_elsewhere(runs: Runs, serving_file: bytes) -> Scored | None:
    if runs.elsewhere is None:
        return None
    rows = load_metadata(runs.elsewhere, runs.task.codes)
    for extra, trained in runs.extra_rows():
        shared = np.intersect1d(rows["lesion_id"], trained["lesion_id"])
        if len(shared):
            raise DatasetError(
                f"expected images that no run was trained on in {runs.elsewhere}, received {shared[0]} of {extra}"
            )
    if SOURCE not in rows:
        rows = rows.assign(**{SOURCE: runs.elsewhere.name})
    return score(serving_file, rows, runs.task, runs.elsewhere, str(rows[SOURCE].iloc[0]), runs.preparation)


def _fit(runs: Runs, answers: Answers) -> Fitted:
    held_out, training, codes = answers.all_held_out, answers.training, runs.task.codes
    shown = np.mean([training_prior(recipe, runs.metadata) for recipe in runs.recipes], axis=0)
    calibration = fit_calibration(
        [part.labelled_logits for part in (held_out, answers.elsewhere) if part is not None],
        shown,
        _class_shares(runs.metadata[~runs.split.isin((TEST, LEFT_OUT))], codes),
        runs.task.dataset.population,
    )
    # The texture is the first member's: its own training images are what it is compared with.
    own = select_rows(runs.metadata, runs.recipes[0])[0]["image_id"]
    out_of_fold = predictions_table(held_out, calibration).assign(
        fold=np.repeat(runs.folds, [len(part.rows) for part in answers.held_out])
    )
    out_of_fold[[f"logit_{code}" for code in codes]] = held_out.logits.round(4)
    textures = [training.textures[training.rows["image_id"].isin(own).to_numpy()]]
    return Fitted(
        calibration=calibration,
        training_prior=shown,
        gate=fit_gate(np.concatenate([*textures, *(part.textures for part in answers.extra)])),
        index=fit_index(training.embeddings, training.rows, NEIGHBOUR_DIMENSIONS, codes),
        out_of_fold=out_of_fold,
        predictions=predictions_table(answers.test, calibration),
        elsewhere=None if answers.elsewhere is None else _with_source(answers.elsewhere, calibration),
    )


def _with_source(part: Scored, calibration: Calibration) -> pd.DataFrame:
    return predictions_table(part, calibration).assign(**{SOURCE: part.rows[SOURCE].to_numpy()})


def _class_shares(rows: pd.DataFrame, codes: Sequence[str]) -> NDArray[np.float64]:
    counts = np.bincount(class_indices(rows, codes), minlength=len(codes))
    return np.maximum(counts, 1) / np.maximum(counts, 1).sum()


def _write_beside(runs: Runs, fitted: Fitted, output: Path) -> None:
    write_history(runs.folders, output / HISTORY_FILE)
    fitted.gate.save(output / GATE_FILE)
    fitted.index.save(output / NEIGHBOURS_FILE)
    fitted.out_of_fold.to_csv(output / OUT_OF_FOLD_FILE, index=False)
    fitted.predictions.to_csv(output / TEST_PREDICTIONS_FILE, index=False)
    (output / ELSEWHERE_FILE).unlink(missing_ok=True)
    if fitted.elsewhere is not None:
        fitted.elsewhere.to_csv(output / ELSEWHERE_FILE, index=False)


def _of_network(
    runs: Runs, views: int, network: keras.Model, serving_file: bytes, init_label: str | None
) -> dict[str, Any]:
    """The sections on what the networks are and how they came about."""
    task = runs.task
    return {
        "licence": licence(task),
        "task": task.key,
        "classes": list(task.codes),
        "positive": list(task.question.positives),
        "input": input_section(*runs.input_size, runs.preparation),
        "network": network_section(runs, views, network.count_params(), _outputs(serving_file)),
        "training": training_section(runs, init_label),
        "split": split_section(runs),
        "model_card": asdict(card_of(task)),
    }


def _of_answers(runs: Runs, answers: Answers, fitted: Fitted) -> dict[str, Any]:
    """The sections on what was chosen on the answers, and what was measured."""
    task, held_out = runs.task, answers.all_held_out
    points = choose_operating_points(cohort_of(fitted.out_of_fold, task), cohort_of(fitted.predictions, task))
    return {
        "calibration": calibration_section(fitted.calibration, held_out, answers.elsewhere, fitted.training_prior),
        "decision": decision(task),
        "operating_points": points_section(points),
        "operating_points_chosen_on": part_of(held_out.rows, OUT_OF_FOLD),
        **(
            {"further_questions": further_section(fitted.out_of_fold, fitted.predictions, task)} if task.further else {}
        ),
        "conformal": conformal_section(fitted.out_of_fold, fitted.predictions, task, points, fitted.elsewhere),
        "evidence": evidence_section(fitted.calibration, held_out),
        "quality": quality_section(answers.training, answers.held_out[0], fitted.gate, answers.elsewhere),
        "retrieval": retrieval_section(fitted.index, answers.test, answers.training),
        "out_of_fold_metrics": evaluation_to_dict(evaluate(cohort_of(fitted.out_of_fold, task))),
        "metrics": metrics_section(fitted.predictions, task, runs.test_rows()[1]),
        "reliability": reliability_section(fitted.predictions, task),
        "subgroups": [asdict(group) for group in measure_subgroups(fitted.predictions, task, points[0].threshold)],
    }


def _files(output: Path) -> dict[str, dict[str, str | int]]:
    names = (
        LITERT_FILE,
        KERAS_FILE,
        GATE_FILE,
        NEIGHBOURS_FILE,
        HISTORY_FILE,
        OUT_OF_FOLD_FILE,
        TEST_PREDICTIONS_FILE,
        *([ELSEWHERE_FILE] if (output / ELSEWHERE_FILE).is_file() else []),
    )
    return {name: {"sha256": sha256_of(output / name), "bytes": (output / name).stat().st_size} for name in names}


def _outputs(serving_file: bytes) -> dict[str, list[int]]:
    runner = Interpreter(model_content=serving_file).get_signature_runner(SIGNATURE)
    return {name: [int(size) for size in detail["shape"]] for name, detail in runner.get_output_details().items()}


def _provenance() -> dict[str, str]:
    arguments = [Path(argument).name if argument.startswith("/") else argument for argument in sys.argv[1:]]
    return created_by(shlex.join(["python", "-m", "model.export", *arguments]))
