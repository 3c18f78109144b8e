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
        yield from progress(pool.map(measure, *columns))


@cache
def classifier_of_process(artifact_folder: Path) -> LiteRTClassifier:
    """The network of an artifact, loaded once a process.

    Raises:
        ArtifactMismatch: the folder holds no usable artifact.
    """
    return LiteRTClassifier(load_artifact(artifact_folder))
