r"""Measure what the quality gate refuses: images that are no dermoscopic lesions, and lesions that it should let pass.

    python -m model.gate_study --dataset ../shared/ham10000 --outside ../shared/everyday_photos ../shared/aptos2019

Each outside folder is halved by name: every second image, from the first on, was there for choosing how the gate looks
at an image; the others, from the second on, are measured here. The gate's threshold itself comes from the out-of-fold
images alone. Writes the section `gate` of the artifact's manifest.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.ham10000 import DatasetError
from data.splits import locked_test_files
from model.analysis import Analyzer
from model.artifact import DEFAULT_ARTIFACT, load_artifact, write_section
from model.evaluation import to_plain
from model.intervals import Estimate, bootstrap_weights, share_estimates
from model.preprocessing import IMAGE_SUFFIXES
from model.report import gate_table
from model.runtimes import LiteRTClassifier


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
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if len(paths) < 2:
        raise DatasetError(f"expected at least 2 image files in {folder}, found {len(paths)}")
    return paths[1::2]


def measure_refusals(
    source: str,
    should_be_refused: bool,
    paths: Sequence[Path],
    groups: Sequence[str],
    refusal_of: Callable[[bytes], str | None],
) -> Refusals:
    """Ask the gate about every file, with a progress bar.

    Args:
        source, should_be_refused: see `Refusals`.
        paths: image files.
        groups: one name a file; files of one name (a lesion) are drawn together for the interval.
        refusal_of: from a file's bytes to the reason of its refusal, or None.
    """
    reasons = [refusal_of(path.read_bytes()) for path in tqdm(paths, desc=source, unit="image", mininterval=1.0)]
    names = np.array(groups, dtype=str)
    is_refused = np.array(
        [[reason is not None for reason in reasons], [reason == "out_of_distribution" for reason in reasons]]
    ).T
    estimates = share_estimates(is_refused, np.ones_like(is_refused), names, bootstrap_weights(names))
    return Refusals(source, should_be_refused, len(paths), *estimates)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", type=Path, default=DEFAULT_ARTIFACT, help="weights folder")
    parser.add_argument("--dataset", type=Path, default=Path("data/raw/ham10000"), help="HAM10000 folder")
    parser.add_argument("--outside", type=Path, nargs="*", default=[], help="folders of images that are no lesions")
    arguments = parser.parse_args(argv)
    artifact = load_artifact(arguments.artifact)
    analyzer = Analyzer(LiteRTClassifier(artifact))

    def refusal_of(content: bytes) -> str | None:
        return analyzer.run(content).quality.refusal

    lesions = locked_test_files(arguments.dataset, artifact.manifest["split"]["seed"])
    files, groups = list(lesions["path"]), list(lesions["lesion_id"])
    rows = [measure_refusals("HAM10000 locked test", False, files, groups, refusal_of)]
    for folder in arguments.outside:
        paths = final_half(folder)
        rows.append(measure_refusals(folder.name, True, paths, [path.name for path in paths], refusal_of))
    section = to_plain({"half": "every second image by name, from the second on", "sources": [asdict(r) for r in rows]})
    write_section(arguments.artifact, "gate", section)
    print(gate_table(section))


if __name__ == "__main__":
    main()
