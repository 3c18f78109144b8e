r"""Measure what the quality gate refuses: images that are no dermoscopic lesions, and lesions that it should let pass.

    python -m model.studies.gate --dataset ../shared/ham10000 --outside ../shared/everyday_photos ../shared/aptos2019

Each outside folder is halved by name: every second image, from the first on, was there for choosing how the gate looks
at an image; the others, from the second on, are measured here. The gate's threshold itself comes from the out-of-fold
images alone. Writes the section `gate` of the artifact's manifest, and what drift is measured against: the quality of
the locked test images, which no network was trained on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data.datasets.ham10000 import DatasetError
from data.datasets.splits import locked_test_files
from model.analysis.analyzer import Analyzer
from model.analysis.quality import Quality
from model.batch.sources import has_image_name
from model.evaluation.report import gate_table
from model.evaluation.results import to_plain
from model.inference.artifact import DEFAULT_ARTIFACT, load_artifact, write_section
from model.inference.runtimes import LiteRTClassifier
from model.measures.intervals import Estimate, bootstrap_weights, share_estimates

LOCKED_TEST = "HAM10000 locked test"
QUANTILES = 101


@dataclass(frozen=True)
class Refusals:
    """What the gate did with the images of one source.

    Attributes:
        source: folder name, or the locked test lesions.
        should_be_refused: whether the images are no dermoscopic lesions.
        images: how many were measured.
        refused: share that got no answer, whatever the reason.
        out_of_distribution: share refused for their distance from the training images.
    """

    source: str
    should_be_refused: bool
    images: int
    refused: Estimate
    out_of_distribution: Estimate


def final_half(folder: Path) -> list[Path]:
    """Every second image file of a folder by name, from the second on.

    Raises:
        DatasetError: fewer than two image files.
    """
    paths = sorted(path for path in folder.rglob("*") if has_image_name(path))
    if len(paths) < 2:
        raise DatasetError(f"expected at least 2 image files in {folder}, found {len(paths)}")
    return paths[1::2]


def qualities_of(source: str, paths: Sequence[Path], quality_of: Callable[[bytes], Quality]) -> list[Quality]:
    """Judge every file, with a progress bar."""
    return [quality_of(path.read_bytes()) for path in tqdm(paths, desc=source, unit="image", mininterval=1.0)]


def count_refusals(
    source: str, should_be_refused: bool, qualities: Sequence[Quality], groups: Sequence[str]
) -> Refusals:
    """What the gate did with the images of one source.

    Args:
        source, should_be_refused: see `Refusals`.
        qualities: one an image.
        groups: one name an image; images of one name (a lesion) are drawn together for the interval.
    """
    reasons = [quality.refusal for quality in qualities]
    names = np.array(groups, dtype=str)
    is_refused = np.array(
        [[reason is not None for reason in reasons], [reason == "out_of_distribution" for reason in reasons]]
    ).T
    estimates = share_estimates(is_refused, np.ones_like(is_refused), names, bootstrap_weights(names))
    return Refusals(source, should_be_refused, len(reasons), *estimates)


def drift_reference(qualities: Sequence[Quality]) -> dict[str, Any]:
    """What `model.evaluation.drift` compares a clinic's images with: quantiles of the distance (101 levels from 0 to
    1), and the share of blurred images."""
    scores = [quality.ood_score for quality in qualities]
    return {
        "ood_quantiles": [float(value) for value in np.quantile(scores, np.linspace(0, 1, QUANTILES))],
        "blurred_share": sum("blurred" in quality.issues for quality in qualities) / len(qualities),
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", type=Path, default=DEFAULT_ARTIFACT, help="weights folder")
    parser.add_argument("--dataset", type=Path, default=Path("data/raw/ham10000"), help="HAM10000 folder")
    parser.add_argument("--outside", type=Path, nargs="*", default=[], help="folders of images that are no lesions")
    arguments = parser.parse_args(argv)
    artifact = load_artifact(arguments.artifact)
    analyzer = Analyzer(LiteRTClassifier(artifact))

    def quality_of(content: bytes) -> Quality:
        return analyzer.run(content).quality

    lesions = locked_test_files(arguments.dataset, artifact.description.split.seed, artifact.task.codes)
    known = qualities_of(LOCKED_TEST, list(lesions["path"]), quality_of)
    rows = [count_refusals(LOCKED_TEST, False, known, list(lesions["lesion_id"]))]
    for folder in arguments.outside:
        paths = final_half(folder)
        outside = qualities_of(folder.name, paths, quality_of)
        rows.append(count_refusals(folder.name, True, outside, [path.name for path in paths]))
    section = to_plain({"half": "every second image by name, from the second on", "sources": [asdict(r) for r in rows]})
    write_section(arguments.artifact, "gate", section)
    write_section(arguments.artifact, "quality", artifact.manifest["quality"] | drift_reference(known))
    print(gate_table(section, artifact.task))


if __name__ == "__main__":
    main()
