"""Work on many images in several processes, each with a network of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from model.inference.artifact import load_artifact
from model.inference.runtimes import LiteRTClassifier

Answer = TypeVar("Answer")
# About half a second of work, which is what an interrupted batch loses for each process.
MOST_AT_A_TIME = 8


def mapped(
    measure: Callable[..., Answer], *columns: Sequence[Any], processes: int, description: str
) -> Iterator[Answer]:
    """`map(measure, *columns)` in order, with a progress bar.

    Args:
        measure: a function of a module, or a `partial` of one, so that other processes can find it.
        columns: arguments, as many of each; they and the answers must be picklable.
        processes: how many; one runs in this process.
        description: for the progress bar.
    """
    progress = partial(tqdm, total=len(columns[0]), desc=description, unit="image", disable=None)
    if processes == 1:
        yield from progress(map(measure, *columns))
        return
    # Spawned, not forked: a fork would copy an interpreter's threads in the middle of their work.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        handed_over = images_at_a_time(len(columns[0]), processes)
        yield from progress(pool.map(measure, *columns, chunksize=handed_over))


def images_at_a_time(images: int, processes: int) -> int:
    """How many images a process is given at a time, so that it seldom waits for the one that hands them out.

    Few enough that all processes have work until shortly before the end: at least four turns each.
    """
    return max(1, min(MOST_AT_A_TIME, images // (4 * processes)))


@cache
def classifier_of_process(artifact_folder: Path, serving_file: Path | None = None) -> LiteRTClassifier:
    """The network of an artifact, loaded once a process.

    Args:
        artifact_folder: gives classes, input size and calibration.
        serving_file: other weights for them; the artifact's own where None.

    Raises:
        ArtifactMismatch: the folder holds no usable artifact.
    """
    return LiteRTClassifier(load_artifact(artifact_folder), serving_file=serving_file)
