"""What the manifest states of finished runs, a function a section: what was trained, chosen and measured, on what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.datasets.ham10000 import SOURCE, DatasetError, image_path, load_metadata
from data.datasets.splits import FOLDS, TEST, TEST_SHARE
from data.tasks.task import Task
from model.evaluation.operating_points import choose_operating_points
from model.evaluation.predictions import cohort_of
from model.evaluation.results import evaluate, evaluation_to_dict, reliability_bins
from model.explain.neighbours import NeighbourIndex
from model.explain.retrieval import precision_at
from model.images.decoding import decode_image
from model.images.framing import AS_FRAMED, Preparation
from model.inference.calibration import Calibration, decide, fit_calibration
from model.inference.conformal import (
    CONFIDENCE,
    CONTIGUOUS_BY_CLASS,
    ORDINAL_METHODS,
    PRIOR_WEIGHTED,
    ConformalSets,
    SetMetrics,
    covering,
    cross_fit,
    fit_sets,
    measure_sets,
)
from model.inference.conformal import METHODS as CONFORMAL_METHODS
from model.inference.measured import OperatingPoint, lowest_threshold
from model.measures.metrics import Array
from model.training.export.scoring import Scored
from model.training.history import epochs_by_phase, lineage
from model.training.recipe import Recipe, network_name, read_run, select_rows, task_of

# A class map that peaks below all but so many of the predicted classes' maps shows no positive evidence.
WEAK_EVIDENCE_SHARE = 0.01
CONFORMAL_LEVEL = 0.90
OUT_OF_FOLD = "out of fold"
TRAINING = "training"
LOCKED_TEST = "locked test"
CHOOSING = "choosing"


class Part(TypedDict):
    """Images that something was chosen, trained or measured on."""

    part: str
    images: int
    lesions: int


class Input(TypedDict):
    """What the network takes."""

    height: int
    width: int
    channels: str
    value_range: list[int]
    rescaled_by: str


class Network(TypedDict):
    """What the networks are: one name where all members have one backbone."""

    backbone: str
    members: int
    member_backbones: list[str]
    views: int
    parameters: int
    outputs: dict[str, list[int]]


class Split(TypedDict):
    """How the dataset was split."""

    by: str
    seed: int
    test_share: float
    folds: int
    out_of_fold: list[int]


class Evidence(TypedDict):
    """Below which peak a class map shows nothing."""

    chosen_on: Part
    weak_share: float
    min_peak: float


@dataclass(frozen=True)
class Runs:
    """Finished runs of one task on one dataset, and who was in which part.

    Attributes:
        folders: that `model.train` wrote.
        recipes: one a run.
        served: so many of the first runs' networks are served; the others answer the fold that they were not trained
            on, and no more.
        dataset: folder.
        metadata: all rows of the dataset.
        split: aligned with `metadata`, see `split_by_lesion`.
        elsewhere: folder shaped like HAM10000 with images of other clinics, none of them trained on, that what is
            chosen has to hold for as well; None where there is none.
    """

    folders: tuple[Path, ...]
    recipes: tuple[Recipe, ...]
    served: int
    dataset: Path
    metadata: pd.DataFrame
    split: pd.Series
    elsewhere: Path | None = None

    @property
    def task(self) -> Task:
        return task_of(self.recipes[0])

    @property
    def members(self) -> tuple[Recipe, ...]:
        """Recipes of the networks that are served."""
        return self.recipes[: self.served]

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the largest member's input: the others reduce the image to theirs."""
        largest = max(self.members, key=lambda recipe: recipe.height * recipe.width)
        return largest.height, largest.width

    @property
    def preparation(self) -> Preparation:
        """Of the images, the same for all runs."""
        return self.recipes[0].preparation

    @property
    def folds(self) -> list[int]:
        """The fold that each run was not trained on."""
        return [recipe.validation_fold for recipe in self.recipes]

    def training_rows(self) -> pd.DataFrame:
        """Rows that at least one member was trained on."""
        rows = pd.concat([select_rows(self.metadata, recipe)[0] for recipe in self.members])
        return rows[~rows["image_id"].duplicated()]

    def extra_rows(self) -> list[tuple[Path, pd.DataFrame]]:
        """Folder and rows of each extra set that the first member was trained on."""
        folders = [Path(extra.folder) for extra in self.recipes[0].extra]
        return [(folder, load_metadata(folder, self.task.codes)) for folder in folders]

    def test_rows(self) -> tuple[pd.DataFrame, str]:
        """Rows of the locked test, and what to call them: a trial run tests on some of them."""
        rows, limit = self.metadata[self.split == TEST], self.recipes[0].limit
        if limit is None:
            return rows, LOCKED_TEST
        return rows.groupby("dx").head(max(limit // len(self.task.codes), 2)), f"{TEST}, limited to some images a class"


def part_of(rows: pd.DataFrame, name: str) -> Part:
    return {"part": name, "images": len(rows), "lesions": int(rows["lesion_id"].nunique())}


def licence(task: Task) -> str:
    """Weights are under the licence of the images they were made from."""
    dataset = task.dataset
    return f"{dataset.licence}, see LICENSE-WEIGHTS.md: derived from {dataset.name}, which is {dataset.licence}"


def decision(task: Task) -> str:
    """How an answer follows from the probabilities, see `decide`."""
    if task.is_ordinal:
        return "the grade nearest to the expected grade"
    return "argmax of probability / prior (every class counts the same, as in balanced accuracy)"


def input_section(height: int, width: int, preparation: Preparation = AS_FRAMED) -> dict[str, Any]:
    """What the network takes, and how images are prepared for it where more is done than framing them."""
    taken: Input = {
        "height": height,
        "width": width,
        "channels": "RGB",
        "value_range": [0, 255],
        "rescaled_by": "the network",
    }
    return {**taken, **({} if preparation == AS_FRAMED else asdict(preparation))}


def network_section(runs: Runs, views: int, parameters: int, outputs: dict[str, list[int]]) -> Network:
    names = [network_name(recipe) for recipe in runs.members]
    return {
        "backbone": ", ".join(dict.fromkeys(names)),
        "members": len(names),
        "member_backbones": names,
        "views": views,
        "parameters": parameters,
        "outputs": outputs,
    }


def split_section(runs: Runs) -> Split:
    return {
        "by": "lesion_id",
        "seed": runs.recipes[0].split_seed,
        "test_share": TEST_SHARE,
        "folds": FOLDS,
        "out_of_fold": runs.folds,
    }


def training_section(runs: Runs, init_label: str | None) -> dict[str, Any]:
    """The first recipe without folders of the machine it ran on, and what the members saw."""
    recipe, dataset, rows = runs.recipes[0], runs.task.dataset, runs.training_rows()
    init = Path(init_label or read_run(lineage(runs.folders[0])[0]).init).name
    return {
        "data": ", ".join(part for part in (dataset.name, dataset.reference) if part),
        "recipe": {**asdict(recipe), "dataset": dataset.name, "init": init}
        | {"extra": [{**asdict(extra), "folder": Path(extra.folder).name} for extra in recipe.extra]}
        | {"teachers": [Path(teacher).name for teacher in recipe.teachers]},
        "training": part_of(rows, TRAINING),
        "training_images_by_dx": {dx: int(count) for dx, count in rows["dx"].value_counts().sort_index().items()},
        "epochs_by_fold": {
            str(fold): epochs_by_phase(folder) for fold, folder in zip(runs.folds, runs.folders, strict=True)
        },
        "source_pixels": source_pixels(runs.dataset, rows),
    }


def source_pixels(dataset: Path, rows: pd.DataFrame) -> list[int]:
    """Width and height of the first training image's file: HAM10000's originals are 600 x 450.

    Raises:
        DatasetError: that file is missing.
    """
    path = image_path(dataset, rows["image_id"].iloc[0])
    if path is None:
        raise DatasetError(f"expected {rows['image_id'].iloc[0]}.jpg in {dataset}, found none")
    image = decode_image(path.read_bytes())
    return [image.shape[1], image.shape[0]]


def elsewhere_part(rows: pd.DataFrame) -> Part:
    """Images of other clinics that something was chosen on, by their source."""
    return part_of(rows, f"{rows[SOURCE].iloc[0]}, {CHOOSING}")


def calibration_section(
    calibration: Calibration, held_out: Scored, elsewhere: Scored | None, training_prior: Array
) -> dict[str, Any]:
    """What was fitted, and what each source loses by not having a fit of its own."""
    sources = [part.labelled_logits for part in (held_out, elsewhere) if part is not None]
    prior, population = np.asarray(calibration.prior), calibration.population
    return {
        "chosen_on": part_of(held_out.rows, OUT_OF_FOLD),
        **asdict(calibration),
        "sources": [
            {
                "source": source.source,
                "images": len(source.logits),
                "log_loss": source.log_loss(calibration),
                "lowest_log_loss": source.log_loss(fit_calibration([source], training_prior, prior, population)),
            }
            for source in sources
        ],
    }


def evidence_section(calibration: Calibration, held_out: Scored) -> Evidence:
    """The peak that almost all maps of predicted classes reach; never below 0, where there is no evidence."""
    probabilities = calibration.probabilities(held_out.logits)
    decided = decide(probabilities, np.asarray(calibration.prior), held_out.task.is_ordinal)
    predicted_peaks = held_out.peaks[np.arange(len(decided)), decided]
    return {
        "chosen_on": part_of(held_out.rows, OUT_OF_FOLD),
        "weak_share": WEAK_EVIDENCE_SHARE,
        "min_peak": max(float(np.quantile(predicted_peaks, WEAK_EVIDENCE_SHARE)), 0.0),
    }


def conformal_section(
    out_of_fold: pd.DataFrame,
    test: pd.DataFrame,
    task: Task,
    points: Sequence[OperatingPoint],
    elsewhere: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """The section on prediction sets: what was chosen on which images, and what it covers on others.

    Args:
        out_of_fold: predictions with the column `fold`; every method is tried on it, fold by fold, by itself.
        test: the locked test lesions' predictions; measured is what is served, with the reasons to flag an image.
        task: grades have sets without gaps.
        points: where an image is flagged.
        elsewhere: predictions for images of other clinics; with them, the sets hold the gravest class in each source.
    """
    chosen, methods = (CONTIGUOUS_BY_CLASS, ORDINAL_METHODS) if task.is_ordinal else (PRIOR_WEIGHTED, CONFORMAL_METHODS)
    held_out, locked = cohort_of(out_of_fold, task), cohort_of(test, task)
    folds = out_of_fold["fold"].to_numpy()
    # Without a second fold there is nothing to try the methods on.
    has_folds = len(np.unique(folds)) > 1
    tried = {
        method: measure_sets(
            cross_fit(method, held_out.probabilities, held_out.dx_true, held_out.lesion_ids, folds, CONFORMAL_LEVEL),
            held_out.dx_true,
            held_out.lesion_ids,
            task.codes,
        )
        for method in (methods if has_folds else ())
    }
    sets = fit_sets(chosen, held_out.probabilities, held_out.dx_true, held_out.lesion_ids, CONFORMAL_LEVEL)

    def measured(chosen_sets: ConformalSets) -> SetMetrics:
        served = replace(chosen_sets, positives=task.positives, flagged_from=lowest_threshold(points))
        return measure_sets(served.contains(locked.probabilities), locked.dx_true, locked.lesion_ids, task.codes)

    raised: dict[str, Any] = {}
    if elsewhere is not None and not task.is_ordinal:
        cohorts = [held_out, cohort_of(elsewhere, task)]
        without = measured(sets).mean_size
        sets = covering(
            sets,
            task.index(task.gravest),
            [(cohort.probabilities, cohort.dx_true, cohort.lesion_ids) for cohort in cohorts],
        )
        raised["held_everywhere"] = {
            "dx": task.gravest,
            "confidence": CONFIDENCE,
            "chosen_on": [part_of(out_of_fold, OUT_OF_FOLD), elsewhere_part(elsewhere)],
            "mean_size_without": asdict(without),
        }
    return {
        "chosen_on": part_of(out_of_fold, OUT_OF_FOLD),
        "sets": {"method": sets.method, "level": sets.level, "thresholds": sets.thresholds},
        "tried_out_of_fold": {method: asdict(metrics) for method, metrics in tried.items()},
        "measured": asdict(measured(sets)),
        **raised,
    }


def points_section(points: Sequence[OperatingPoint]) -> list[dict[str, Any]]:
    return [asdict(point) for point in points]


def further_section(out_of_fold: pd.DataFrame, test: pd.DataFrame, task: Task) -> list[dict[str, Any]]:
    """The task's further questions with thresholds of their own, chosen and measured as those of the first one."""
    held_out, locked = cohort_of(out_of_fold, task), cohort_of(test, task)
    return [
        {
            "question": question.key,
            "positive": list(question.positives),
            "operating_points": points_section(
                choose_operating_points(held_out.asked(question), locked.asked(question))
            ),
        }
        for question in task.further
    ]


def retrieval_section(index: NeighbourIndex, test: Scored, training: Scored) -> dict[str, Any]:
    """How often the nearest training lesions of a locked test image have its class."""
    measured = precision_at(index, test.embeddings, test.class_indices, test.rows["lesion_id"].to_numpy(dtype=str))
    return {"dimensions": index.vectors.shape[1], "index": part_of(training.rows, TRAINING), **asdict(measured)}


def metrics_section(predictions: pd.DataFrame, task: Task, split_name: str) -> dict[str, Any]:
    return {
        "data": task.dataset.name,
        "split": split_name,
        **evaluation_to_dict(evaluate(cohort_of(predictions, task))),
    }


def reliability_section(predictions: pd.DataFrame, task: Task) -> dict[str, dict[str, NDArray[Any]]]:
    """Mean probability, observed share and images of each bin: of the most probable class, and of p(positive)."""
    return reliability_bins(cohort_of(predictions, task))
