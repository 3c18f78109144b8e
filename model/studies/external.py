r"""Validate a model on a labelled folder of a clinic: every metric next to the locked test, and a recalibration.

    python -m model.studies.external --images clinic/photos --labels clinic/labels.csv --name "Our clinic"
    python -m model.studies.external --images clinic/photos --labels clinic/labels.csv --name "Our clinic" \
        --output model/weights/our_clinic --predictions our_clinic.csv
    python -m model.studies.external --images data/raw/isic2017/locked/images \
        --labels data/raw/isic2017/locked/HAM10000_metadata.csv --name "ISIC 2017, locked part" --dry-run

It needs a folder of images and a table of labels (commas, semicolons or tabs) with one row an image: `image_id`, the
file's name with or without its ending, and `dx`, a class of the task by code or name, or a column named after the
gravest class (`melanoma`: 1 or 0) where nothing more is known. `lesion_id` (which images belong together) and further
columns are optional. Every image goes the way of an upload, quality gate included, and is judged by the image alone.

Nothing is chosen on these images for what is measured of the model as it stands: counts end to end (flagged, not
flagged, not answered) and, where each row has a `dx`, every metric of Evaluation beside the locked test's. Then half of
the lesions, drawn with a seed, fit a recalibration (temperature and class shares, thresholds, sets), and the other half
says whether it is better. That takes 10 lesions of either side in each half.

Writes an entry of the section `external` of the artifact's manifest, in place of one of the same name, and prints it.
`--output FOLDER` saves the recalibration as an artifact of its own, which dashboard and API serve (`MODEL_DIR`). Exit
code 2, and a message, for a table or a folder that is not what it should be, or where `--output` cannot be had.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.datasets.ham10000 import DatasetError
from model.arguments import add_artifact, whole_number
from model.inference.artifact import Artifact, ArtifactMismatch, load_artifact, write_section
from model.studies.clinics.derived import check_output, write_derived
from model.studies.clinics.entry import SECTION, measure
from model.studies.clinics.labelled import (
    MOST_NAMED,
    Labelled,
    files_of,
    predictions_table,
    read_labels,
    score_images,
)
from model.studies.clinics.recalibration import SECTION as RECALIBRATION
from model.studies.clinics.recalibration import (
    Recalibration,
    RecalibrationRefused,
    fitting_half,
    recalibrate,
)
from model.studies.clinics.report import entry_text


def with_entry(artifact: Artifact, entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The section with an entry added, or in place of the one of the same name."""
    stored = artifact.manifest.get(SECTION, [])
    return [*(one for one in stored if one["name"] != entry["name"]), entry]


def validate(
    name: str, images: Labelled, artifact: Artifact
) -> tuple[dict[str, Any], Recalibration | RecalibrationRefused]:
    """The entry of a clinic, recalibration included, and that recalibration, or why there is none."""
    entry = measure(name, images, artifact)
    try:
        recalibration = recalibrate(name, images, artifact)
    except RecalibrationRefused as refusal:
        return {**entry, "not_recalibrated": str(refusal)}, refusal
    return {**entry, RECALIBRATION: recalibration.section()}, recalibration


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m model.studies.external",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_artifact(parser)
    parser.add_argument("--images", type=Path, required=True, help="folder of image files")
    parser.add_argument("--labels", type=Path, required=True, help="table of image_id and dx")
    parser.add_argument("--name", required=True, help="what pages call these images, such as a clinic and a year")
    parser.add_argument("--processes", type=whole_number(1), default=2, help="one network each")
    parser.add_argument("--output", type=Path, help="new folder for the recalibrated model")
    parser.add_argument("--predictions", type=Path, help="CSV to write, a row an image")
    parser.add_argument("--dry-run", action="store_true", help="print the figures without keeping them in --artifact")
    arguments = parser.parse_args(argv)
    try:
        artifact = load_artifact(arguments.artifact)
        if arguments.output is not None:
            check_output(artifact, arguments.output)
        labels = read_labels(arguments.labels, artifact.task)
        paths = files_of(arguments.images, list(labels["image_id"]))
        images = score_images(labels, paths, artifact, arguments.processes)
        _name_refused(images, paths)
        entry, recalibration = validate(arguments.name, images, artifact)
        print(entry_text(entry, artifact.task))
        if arguments.predictions is not None:
            halves = fitting_half(images, artifact.task) if isinstance(recalibration, Recalibration) else None
            predictions_table(images, artifact, halves).to_csv(arguments.predictions, index=False)
        if not arguments.dry_run:
            write_section(arguments.artifact, SECTION, with_entry(artifact, entry))
        if arguments.output is None:
            return 0
        if isinstance(recalibration, RecalibrationRefused):
            raise recalibration
        command = _command(sys.argv[1:] if argv is None else argv)
        derived = write_derived(arguments.name, images, artifact, recalibration, command, arguments.output)
    except (ArtifactMismatch, DatasetError, OSError, RecalibrationRefused) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"\n{derived.name} {derived.version}: {arguments.output}; serve it with MODEL_DIR={arguments.output}")
    return 0


def _name_refused(images: Labelled, paths: Sequence[Path]) -> None:
    refused = [(path.name, reason) for path, reason in zip(paths, images.refusals, strict=True) if reason]
    for name, reason in refused[:MOST_NAMED]:
        print(f"{name}: no answer ({reason.replace('_', ' ')})", file=sys.stderr)
    if refused:
        print(f"{len(refused):,} of {len(paths):,} images got no answer", file=sys.stderr)


def _command(arguments: Sequence[str]) -> str:
    """As it was typed, without folders of the machine."""
    shown = [Path(one).name if one.startswith("/") else one for one in arguments]
    return shlex.join(["python", "-m", "model.studies.external", *shown])


if __name__ == "__main__":
    raise SystemExit(main())
