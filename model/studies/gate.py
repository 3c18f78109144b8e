r"""Measure what the quality gate refuses: images that are none of the task's, and the task's own that should pass.

    python -m model.studies.gate --dataset ../shared/ham10000 --outside ../shared/everyday_photos ../shared/aptos2019
    python -m model.studies.gate --task retina --outside ../shared/everyday_photos ../shared/ham10000
    python -m model.studies.gate ... --elsewhere data/raw/isic2017/locked    # labelled images of other clinics as well
    python -m model.studies.gate ... --images 20 --dry-run                   # a laptop's taste of it

Outside folders hold images of other tasks or photographs of anything; lesion masks in them are passed over. Each is
halved by name: every second image, from the first on, was there for choosing how the gate looks at an image; the
others, from the second on, are measured here. The gate's threshold itself comes from the out-of-fold images, and
held-out ones of other clinics. Of the labelled images it also measures how much less surely those at the edge of what
the model knows are judged. Writes the section `gate` of the artifact's manifest, and what drift is measured against:
the quality of the locked test images, which no network was trained on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from data.datasets.ham10000 import MASK_FOLDER, SOURCE, DatasetError, load_metadata
from data.datasets.splits import locked_test_files, with_files
from model.analysis.analyzer import Analyzer
from model.analysis.quality import Issue, Quality
from model.arguments import add_artifact, add_dataset, whole_number
from model.batch.sources import has_image_name
from model.evaluation.report import gate_table
from model.evaluation.results import to_plain
from model.inference.artifact import Artifact, ArtifactMismatch, load_artifact, write_section
from model.inference.measured import measured_rate
from model.inference.runtimes import LiteRTClassifier
from model.measures.intervals import Estimate
from model.measures.metrics import Booleans, positive_probability
from model.measures.shares import share_estimates

EDGE: Issue = "at_the_edge"
# Refused for their distance; of a blurred one, the blur is what is said.
FOREIGN: frozenset[Issue] = frozenset(("out_of_distribution", "too_blurred"))
QUANTILES = 101


@dataclass(frozen=True)
class Refusals:
    """What the gate did with the images of one source.

    Attributes:
        source: folder name, or the task's locked test images.
        should_be_refused: whether the images are none of the task's.
        images: how many were measured.
        refused: share that got no answer, whatever the reason.
        out_of_distribution: share refused for their distance from the training images.
        at_the_edge: share answered with the remark that they lie at the edge of what the model knows.
    """

    source: str
    should_be_refused: bool
    images: int
    refused: Estimate
    out_of_distribution: Estimate
    at_the_edge: Estimate


@dataclass(frozen=True)
class Judged:
    """One image: what the gate says, and the probability of the question's positive side, also where it is refused."""

    quality: Quality
    p_positive: float


def final_half(folder: Path) -> list[Path]:
    """Every second image file of a folder by name, from the second on.

    Raises:
        DatasetError: fewer than two image files.
    """
    paths = sorted(path for path in folder.rglob("*") if has_image_name(path) and MASK_FOLDER not in path.parts)
    if len(paths) < 2:
        raise DatasetError(f"expected at least 2 image files in {folder}, found {len(paths)}")
    return paths[1::2]


def evenly(count: int, most: int | None) -> list[int]:
    """At most so many of the numbers from 0 to count - 1, evenly spaced; all of them for None."""
    return list(range(count)) if most is None or most >= count else [i * count // most for i in range(most)]


def judge_all(source: str, paths: Sequence[Path], judge: Callable[[bytes], Judged]) -> list[Judged]:
    """Judge every file, with a progress bar."""
    return [judge(path.read_bytes()) for path in tqdm(paths, desc=source, unit="image", mininterval=1.0)]


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
        [
            [reason is not None for reason in reasons],
            [reason in FOREIGN for reason in reasons],
            [EDGE in quality.issues and quality.refusal is None for quality in qualities],
        ]
    ).T
    estimates = share_estimates(is_refused, np.ones_like(is_refused), names)
    return Refusals(source, should_be_refused, len(reasons), *estimates)


def edge_section(judged: Sequence[Judged], rows: pd.DataFrame, artifact: Artifact) -> list[dict[str, Any]]:
    """What each stored threshold does for answered images at the edge of what the model knows, and for those inside.

    Args:
        judged: one an image.
        rows: aligned with it, `dx` and `lesion_id`.
        artifact: whose thresholds are measured.

    Returns:
        One entry a threshold, plain numbers and text, see `model.inference.measured.EdgeResult`.
    """
    is_answered = np.array([one.quality.refusal is None for one in judged])
    is_at_edge = np.array([EDGE in one.quality.issues for one in judged])
    p_positive = np.array([one.p_positive for one in judged])
    is_of_side = rows["dx"].isin(artifact.task.question.positives).to_numpy()
    lesions = rows["lesion_id"].to_numpy(dtype=str)

    def called(is_right: Booleans, is_counted: Booleans) -> dict[str, Any]:
        return asdict(measured_rate(is_right, is_counted, lesions))

    return [
        {"name": point.name, "threshold": point.threshold}
        | {
            place: {
                "sensitivity": called(p_positive >= point.threshold, is_there & is_of_side),
                "specificity": called(p_positive < point.threshold, is_there & ~is_of_side),
            }
            for place, is_there in (("inside", is_answered & ~is_at_edge), ("edge", is_answered & is_at_edge))
        }
        for point in artifact.operating_points
    ]


def drift_reference(qualities: Sequence[Quality]) -> dict[str, Any]:
    """What `model.evaluation.drift` compares a clinic's images with: quantiles of the distance (101 levels from 0 to
    1), and the share of blurred images."""
    scores = [quality.ood_score for quality in qualities]
    return {
        "ood_quantiles": [float(value) for value in np.quantile(scores, np.linspace(0, 1, QUANTILES))],
        "blurred_share": sum("blurred" in quality.issues for quality in qualities) / len(qualities),
    }


def measure(arguments: argparse.Namespace, artifact: Artifact) -> tuple[dict[str, Any], dict[str, Any]]:
    """The section `gate` of the manifest, and what `drift_reference` gives of the locked test images."""
    analyzer = Analyzer(LiteRTClassifier(artifact))

    def judge(content: bytes) -> Judged:
        analysis = analyzer.run(content)
        probabilities = artifact.calibration.probabilities(analysis.output.logits.astype(np.float64))
        return Judged(analysis.quality, float(positive_probability(probabilities, artifact.task.positives)))

    dataset, most = arguments.dataset or artifact.task.dataset.folder, arguments.images
    locked_test = f"{artifact.task.dataset.name} locked test"
    labelled = {locked_test: locked_test_files(dataset, artifact.description.split.seed, artifact.task.codes)}
    for folder in arguments.elsewhere:
        rows = with_files(load_metadata(folder, artifact.task.codes), folder)
        labelled[f"{rows[SOURCE].iloc[0] if SOURCE in rows else folder.parent.name} {folder.name}"] = rows
    labelled = {source: rows.iloc[evenly(len(rows), most)] for source, rows in labelled.items()}
    judged = {source: judge_all(source, list(rows["path"]), judge) for source, rows in labelled.items()}
    qualities = {source: [one.quality for one in found] for source, found in judged.items()}
    sources = [
        count_refusals(source, False, qualities[source], list(rows["lesion_id"])) for source, rows in labelled.items()
    ]
    for folder in arguments.outside:
        paths = final_half(folder)
        paths = [paths[number] for number in evenly(len(paths), most)]
        outside = [one.quality for one in judge_all(folder.name, paths, judge)]
        sources.append(count_refusals(folder.name, True, outside, [path.name for path in paths]))
    section = to_plain(
        {
            "half": "every second image by name, from the second on",
            "sources": [asdict(source) for source in sources],
            "edges": edge_section(list(chain(*judged.values())), pd.concat(labelled.values()), artifact),
        }
    )
    return section, drift_reference(qualities[locked_test])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_artifact(parser)
    add_dataset(parser)
    parser.add_argument("--outside", type=Path, nargs="*", default=[], help="folders of images of anything else")
    parser.add_argument(
        "--elsewhere", type=Path, nargs="*", default=[], help="folders of labelled images of other clinics"
    )
    parser.add_argument("--images", type=whole_number(1), help="of each source at most so many, evenly spaced by name")
    parser.add_argument("--dry-run", action="store_true", help="print the figures without keeping them")
    arguments = parser.parse_args(argv)
    try:
        artifact = load_artifact(arguments.artifact)
        section, drift = measure(arguments, artifact)
    except (ArtifactMismatch, DatasetError) as error:
        print(error, file=sys.stderr)
        return 2
    if not arguments.dry_run:
        write_section(artifact.folder, "gate", section)
        write_section(artifact.folder, "quality", artifact.manifest["quality"] | drift)
    print(gate_table(section, artifact.task))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
