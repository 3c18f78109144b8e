"""One row an image: what an analysis says of it, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from data.tasks.task import Task
from model.analysis.analyzer import Analysis, Analyzer
from model.batch.sources import Source, read_source
from model.batch.table import Row, columns_of, valid_text
from model.explain.maps import overlay
from model.images.rejection import ImageRejected
from model.inference.clinical import NO_FACTS, PatientFacts
from model.inference.processes import classifier_of_process

DECIMALS = 7


def row_of(name: str, analysis: Analysis, task: Task) -> Row:
    """One row of an analysis; the probabilities of a refused image are empty."""
    row = dict.fromkeys(columns_of(task), "") | {
        "image": name,
        "quality": analysis.quality.refusal or "ok",
        "ood_score": f"{analysis.quality.ood_score:.4f}",
        "runtime_ms": f"{analysis.runtime_ms:.1f}",
    }
    if analysis.answer is not None:
        prediction = analysis.answer.prediction
        row |= {dx: f"{p:.{DECIMALS}f}" for dx, p in zip(task.codes, prediction.probabilities, strict=True)}
        row |= {
            "prediction": prediction.dx,
            task.question.column: f"{prediction.p_positive:.{DECIMALS}f}",
            "conformal_set": "|".join(prediction.conformal_set),
        }
    return row


def rejected_row(name: str, reason: str, task: Task) -> Row:
    """One row of a file that could not be read as an image."""
    return dict.fromkeys(columns_of(task), "") | {"image": name, "quality": reason}


def score(analyzer: Analyzer, source: Source, heatmap: Path | None, facts: PatientFacts = NO_FACTS) -> Row:
    """Analyse one image.

    Args:
        analyzer: of the model.
        source: the image.
        heatmap: where its heatmap goes, see `save_heatmap`; None for nowhere.
        facts: what is known of the patient.

    Raises:
        SourceUnavailable: its bucket cannot be read. A bad image is a row.
    """
    name, task = valid_text(source.name), analyzer.artifact.task
    try:
        analysis = analyzer.with_facts(analyzer.run(read_source(source)), facts)
    except ImageRejected as rejected:
        return rejected_row(name, rejected.reason, task)
    except OSError as error:
        return rejected_row(name, f"unreadable: {error.strerror or type(error).__name__}", task)
    if heatmap is not None:
        save_heatmap(analysis, heatmap)
    return row_of(name, analysis, task)


def score_in_process(
    artifact_folder: Path, source: Source, heatmap: Path | None, facts: PatientFacts = NO_FACTS
) -> Row:
    """As `score`, with a network loaded once a process."""
    return score(_analyzer_of_process(artifact_folder), source, heatmap, facts)


@cache
def _analyzer_of_process(artifact_folder: Path) -> Analyzer:
    return Analyzer(classifier_of_process(artifact_folder))


def heatmap_paths(sources: Sequence[Source], folder: Path | None) -> list[Path | None]:
    """Where each image's heatmap goes: its name without ending, numbered where two share one; None without a folder."""
    if folder is None:
        return [None] * len(sources)
    taken: set[str] = set()
    names = []
    for source in sources:
        name, number = source.stem, 1
        while name in taken:
            number += 1
            name = f"{source.stem}_{number}"
        taken.add(name)
        names.append(name)
    return [folder / name for name in names]


def save_heatmap(analysis: Analysis, path: Path) -> None:
    """Write the predicted class's map: `<path>.png`, the overlay, and `<path>.npy`, float32 at the maps' resolution.

    Nothing is written for a refused image.
    """
    if analysis.answer is None:
        return
    explanation = analysis.answer.explanation
    heatmap = explanation.heatmap(analysis.answer.prediction.dx)
    np.save(path.with_name(f"{path.name}.npy"), heatmap)
    laid_over = overlay(analysis.image, heatmap, explanation.framing)
    Image.fromarray(laid_over).save(path.with_name(f"{path.name}.png"))
