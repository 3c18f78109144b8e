"""Damaged images by the thousand: each is answered, or refused by name.

    python -m tests.support.files.damage                  # 30,000 images, about half an hour
    python -m tests.support.files.damage --images 1000 --seed 2

Prints how many came to what, the slowest, and the memory that it took; exit code 1 where anything else than an answer
or a refusal by name came of one, which is then written to `--keep`.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np
from tqdm import tqdm

from model.analysis.analyzer import Analyzer
from model.analysis.quality import Issue
from model.images.rejection import ImageRejected
from model.inference.artifact import DEFAULT_ARTIFACT, load_artifact
from model.inference.runtimes import LiteRTClassifier
from model.server.problems import PROBLEMS
from tests.support.files.seeds import seeds

# What readers of headers take for sizes, counts and offsets.
_EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\x01\0\0", b"\x80\0\0\0")
_FORESEEN = {"answered", *get_args(Issue), *PROBLEMS}


@dataclass
class Outcomes:
    """What came of so many damaged images: an answer, a refusal of the quality gate, or one by name of the decoder.

    Attributes:
        unforeseen: the number of each image of which something else came, and what.
        memory: bytes by which the peak of this process grew.
    """

    counts: Counter[str] = field(default_factory=Counter)
    unforeseen: dict[int, str] = field(default_factory=dict)
    slowest_seconds: float = 0.0
    memory: int = 0


def damaged(images: int, seed: int) -> Iterator[bytes]:
    """So many files, each a seed to which one to four things were done; the same ones for the same `seed`."""
    generator, whole = np.random.default_rng(seed), seeds()
    for number in range(images):
        content = whole[number % len(whole)]
        for _ in range(generator.integers(1, 5)):
            content = _harmed(content, whole, generator)
        yield content


def _harmed(content: bytes, whole: Sequence[bytes], generator: np.random.Generator) -> bytes:
    # Half of the time where a file says what it is.
    reach = len(content) if generator.random() < 0.5 else min(len(content), 512)
    at = int(generator.integers(0, max(reach, 1)))
    length = int(generator.integers(1, 65))
    other = whole[int(generator.integers(0, len(whole)))]
    before, piece, behind = content[:at], content[at : at + length], content[at + length :]
    extreme = _EXTREMES[int(generator.integers(0, len(_EXTREMES)))]
    changes: tuple[Callable[[], bytes], ...] = (
        lambda: before + bytes([generator.integers(0, 256)]) + content[at + 1 :],
        lambda: before + generator.bytes(len(piece)) + behind,
        lambda: before + extreme + content[at + 4 :],
        lambda: before + extreme[:2] + content[at + 2 :],
        lambda: before + behind,
        lambda: before + piece * int(generator.integers(2, 200)) + behind,
        lambda: before + other[at : at + length] + behind,
        lambda: content[: max(at, 1)],
        lambda: content + generator.bytes(length),
    )
    return changes[int(generator.integers(0, len(changes)))]()


def ask(analyzer: Analyzer, images: int, seed: int, keep: Path | None = None) -> Outcomes:
    """Ask for the answer to so many damaged images, or to fewer where Ctrl-C comes first."""
    outcomes, before = Outcomes(), _peak()
    with contextlib.suppress(KeyboardInterrupt):
        for number, content in enumerate(tqdm(damaged(images, seed), total=images, unit="image", disable=None)):
            started = time.perf_counter()
            outcome = _outcome(analyzer, content)
            outcomes.slowest_seconds = max(outcomes.slowest_seconds, time.perf_counter() - started)
            outcomes.counts[outcome] += 1
            if outcome not in _FORESEEN:
                outcomes.unforeseen[number] = outcome
                if keep is not None:
                    (keep / f"{seed}_{number}").write_bytes(content)
    outcomes.memory = _peak() - before
    return outcomes


def _outcome(analyzer: Analyzer, content: bytes) -> str:
    try:
        return analyzer.run(content).quality.refusal or "answered"
    except ImageRejected as rejected:
        return rejected.reason
    # All that can come of an image is to be seen here.
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=30_000, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="of the damage")
    parser.add_argument("--keep", type=Path, default=None, help="folder for images that do what was not foreseen")
    arguments = parser.parse_args(argv)
    analyzer = Analyzer(LiteRTClassifier(load_artifact(DEFAULT_ARTIFACT)))
    started = time.perf_counter()
    outcomes = ask(analyzer, arguments.images, arguments.seed, arguments.keep)
    print(f"{outcomes.counts.total():>7,}  damaged images")
    for name, count in outcomes.counts.most_common():
        print(f"{count:>7,}  {name}")
    print(f"{len(outcomes.unforeseen):>7,}  unforeseen {outcomes.unforeseen or ''}")
    print(
        f"{time.perf_counter() - started:.0f} s, the slowest {outcomes.slowest_seconds:.2f} s, "
        f"{outcomes.memory / 2**20:.0f} MB more than at the start"
    )
    return 1 if outcomes.unforeseen else 0


if __name__ == "__main__":
    sys.exit(main())
