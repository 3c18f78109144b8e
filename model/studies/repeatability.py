"""Measure how far the answers to two photographs of one lesion differ.

    python -m model.studies.repeatability

Reads the out-of-fold predictions of the artifact, where lesions have several images: each pair is answered by one
network that was trained on neither, so the ensemble, whose answers vary less, is not flattered. Answers near 0 and 1
differ by less, so pairs are told apart by level: by the probability of one of the two, which says what another
photograph may give, and by the mean of both, which says whether two visits differ by more than that. Writes the
section `repeatability` of the artifact's manifest and prints it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from model.arguments import add_artifact
from model.evaluation.predictions import Cohort, cohort_of, load_predictions
from model.evaluation.report import repeatability_table
from model.evaluation.results import to_plain
from model.inference.artifact import Artifact, load_artifact, write_section
from model.measures.intervals import Estimate, Groups
from model.measures.metrics import Array
from model.measures.shares import quantile_estimate

SECTION = "repeatability"
# Levels of the mean probability of a pair: [0, 0.02), [0.02, 0.05) and so on; the last holds 1 as well.
EDGES: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
# Of the pairs of a level, so many differ by at most what is stated.
SHARE = 0.95


@dataclass(frozen=True)
class Level:
    """Pairs of photographs of one lesion whose probability (of one of them, or the mean) lies in [low, high).

    Attributes:
        pairs, lesions: how many there are.
        median, largest: difference that half of the pairs, and `SHARE` of them, stay within, in [0, 1].
    """

    low: float
    high: float
    pairs: int
    lesions: int
    median: Estimate
    largest: Estimate


def pairs_of(cohort: Cohort) -> tuple[Array, Array, Groups]:
    """p(positive) of every two images of one lesion, (P,) each, and its lesion."""
    order = np.argsort(cohort.lesion_ids, kind="stable")
    ids, first = np.unique(cohort.lesion_ids[order], return_index=True)
    pairs = [
        (*pair, lesion)
        for lesion, rows in zip(ids, np.split(order, first[1:]), strict=True)
        for pair in combinations(cohort.p_positive[rows], 2)
    ]
    one, other = (np.array([pair[side] for pair in pairs], dtype=np.float64) for side in (0, 1))
    return one, other, np.array([pair[2] for pair in pairs], dtype=str)


def measure_levels(probabilities: Array, differences: Array, lesions: Groups) -> tuple[Level, ...]:
    """What each level's pairs differ by; levels without pairs are left out."""
    level_of = np.clip(np.digitize(probabilities, EDGES) - 1, 0, len(EDGES) - 2)
    return tuple(
        _level(EDGES[number], EDGES[number + 1], differences[level_of == number], lesions[level_of == number])
        for number in range(len(EDGES) - 1)
        if (level_of == number).any()
    )


def _level(low: float, high: float, differences: Array, lesions: Groups) -> Level:
    median, largest = (quantile_estimate(differences, lesions, share) for share in (0.5, SHARE))
    return Level(low, high, len(differences), len(np.unique(lesions)), median, largest)


def study(artifact: Artifact) -> dict[str, Any]:
    """The section `repeatability` of the manifest; see the module docstring."""
    cohort = cohort_of(load_predictions(artifact.out_of_fold_path, artifact.task), artifact.task)
    one, other, lesions = pairs_of(cohort)
    differences = np.abs(one - other)
    # Either photograph may be the one at hand: each pair counts from both sides.
    of_one = measure_levels(np.append(one, other), np.tile(differences, 2), np.tile(lesions, 2))
    of_mean = measure_levels((one + other) / 2, differences, lesions)
    return {
        "share": SHARE,
        "pairs": len(one),
        "of_one": [asdict(level) for level in of_one],
        "of_mean": [asdict(level) for level in of_mean],
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_artifact(parser)
    folder = parser.parse_args(argv).artifact
    artifact = load_artifact(folder)
    if not artifact.task.dataset.has_repeats:
        dataset, subject = artifact.task.dataset.name, artifact.task.words.subject
        print(f"Not measured: {dataset} has no repeat photographs of one {subject}; nothing was written.")
        return
    section = to_plain(study(artifact))
    write_section(folder, SECTION, section)
    print(repeatability_table(section, artifact.task))


if __name__ == "__main__":
    main()
