"""Classify image files and folders from the command line.

    python -m model.predict lesion.jpg
    python -m model.predict FOLDER --output out.csv --heatmaps heatmaps/

Writes one row an image, whatever happens to it: a file that cannot be judged is a row with the reason. Exit code 0 if
every image was judged, 1 if some were rejected, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from data.diagnoses import DX_CODES
from model.analysis import Analysis, Analyzer
from model.artifact import DEFAULT_ARTIFACT, ArtifactMismatch, load_artifact
from model.explain import overlay
from model.preprocessing import IMAGE_SUFFIXES, MAX_BYTES, ImageRejected
from model.runtimes import LiteRTClassifier

COLUMNS: tuple[str, ...] = (
    "image",
    *DX_CODES,
    "prediction",
    "p_malignant",
    "conformal_set",
    "quality",
    "ood_score",
    "runtime_ms",
)
DECIMALS = 7


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Files as given, and every image file in the folders among them, sorted by path.

    Raises:
        FileNotFoundError: a path does not exist.
    """
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise FileNotFoundError(f"expected an image or a folder, {missing} does not exist")
    return [image for path in paths for image in _images_of(path)]


def _images_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())


def row_of(name: str, analysis: Analysis) -> dict[str, str]:
    """One CSV row of an analysis; the probabilities of a refused image are empty."""
    row = dict.fromkeys(COLUMNS, "") | {
        "image": name,
        "quality": analysis.quality.refusal or "ok",
        "ood_score": f"{analysis.quality.ood_score:.4f}",
        "runtime_ms": f"{analysis.runtime_ms:.1f}",
    }
    if analysis.prediction is not None:
        row |= {dx: f"{p:.{DECIMALS}f}" for dx, p in zip(DX_CODES, analysis.prediction.probabilities, strict=True)}
        row |= {
            "prediction": analysis.prediction.dx,
            "p_malignant": f"{analysis.prediction.p_malignant:.{DECIMALS}f}",
            "conformal_set": "|".join(analysis.prediction.conformal_set),
        }
    return row


def rejected_row(name: str, reason: str) -> dict[str, str]:
    """One CSV row of a file that could not be read as an image."""
    return dict.fromkeys(COLUMNS, "") | {"image": name, "quality": reason}


def classify(analyzer: Analyzer, paths: Sequence[Path], heatmaps: Path | None) -> Iterator[dict[str, str]]:
    """Analyse files one after the other; writes heatmaps where a folder is given. Yields one row a file."""
    for path, stem in zip(paths, _heatmap_names(paths), strict=True):
        # A name that is no valid text could not be written to the CSV file.
        name = path.name.encode("utf-8", "backslashreplace").decode("utf-8")
        try:
            analysis = analyzer.run(_read(path))
        except ImageRejected as rejected:
            yield rejected_row(name, rejected.reason)
            continue
        except OSError as error:
            yield rejected_row(name, f"unreadable: {error.strerror or type(error).__name__}")
            continue
        if heatmaps is not None:
            save_heatmap(analysis, heatmaps / stem)
        yield row_of(name, analysis)


def _read(path: Path) -> bytes:
    """A file's bytes, or one more than is accepted: no more than that of a disk image ever lies in memory."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _heatmap_names(paths: Sequence[Path]) -> list[str]:
    """File names without ending, each once: numbered where two files share one."""
    taken: set[str] = set()
    names = []
    for path in paths:
        name, number = path.stem, 1
        while name in taken:
            number += 1
            name = f"{path.stem}_{number}"
        taken.add(name)
        names.append(name)
    return names


def save_heatmap(analysis: Analysis, path: Path) -> None:
    """Write the predicted class's map: `<path>.png`, the overlay, and `<path>.npy`, float32 at the maps' resolution.

    Nothing is written for a refused image.
    """
    if analysis.prediction is None or analysis.explanation is None:
        return
    heatmap = analysis.explanation.heatmap(analysis.prediction.dx)
    np.save(path.with_name(f"{path.name}.npy"), heatmap)
    laid_over = overlay(analysis.image, heatmap, analysis.explanation.framing)
    Image.fromarray(laid_over).save(path.with_name(f"{path.name}.png"))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="image files and folders")
    parser.add_argument("--output", type=Path, help="CSV file to write; default: standard output")
    parser.add_argument("--heatmaps", type=Path, help="folder for one overlay and one array an image")
    parser.add_argument("--artifact", type=Path, default=DEFAULT_ARTIFACT, help="weights folder")
    arguments = parser.parse_args(argv)
    try:
        images = find_images(arguments.paths)
        if not images:
            raise FileNotFoundError("expected at least one image, the folders hold none")
        analyzer = Analyzer(LiteRTClassifier(load_artifact(arguments.artifact)))
        if arguments.heatmaps is not None:
            arguments.heatmaps.mkdir(parents=True, exist_ok=True)
        output = arguments.output.open("w", newline="", encoding="utf-8") if arguments.output else None
    except (OSError, ArtifactMismatch) as error:
        print(f"model.predict: {error}", file=sys.stderr)
        return 2
    rejected = 0
    with output or nullcontext(sys.stdout) as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in tqdm(classify(analyzer, images, arguments.heatmaps), total=len(images), unit="image", disable=None):
            writer.writerow(row)
            rejected += row["quality"] != "ok"
    print(f"{len(images)} images, {rejected} rejected", file=sys.stderr)
    return 1 if rejected else 0


if __name__ == "__main__":
    sys.exit(main())
