"""Turn finished training runs into the artifact folder that the dashboard serves.

    python -m model.export --run runs/fold0 runs/fold1 runs/fold2 runs/fold3 runs/fold4 --version 2.0

The runs' networks become one ensemble; each was trained without one fold, and its predictions of that fold, out of
fold, are what calibration, thresholds and prediction sets are chosen on. With `--served 1` the first alone is served,
and the others, of the same recipe, give it more such predictions than it has of its own. Writes `model.keras` and
`model.tflite` (one forward pass: logits, embedding, texture, class-activation maps, lesion), scores the locked test
lesions with the serving file itself, and states all of it in `manifest.json`.

With `--elsewhere`, a labelled folder of other clinics that no run was trained on, what is chosen has to hold for both:
the calibration is the one by which the source it fits worst loses least, sets hold the gravest diagnosis in each, and
the gate lets both pass.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from data.datasets.ham10000 import DatasetError
from model.training.export.artifact_writer import DEFAULT_RUNS, VIEWS, export
from model.training.recipe import RunMismatch, read_run

WEIGHTS = Path("model/weights")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--run", type=Path, nargs="+", default=DEFAULT_RUNS, help="folders that model.train wrote, one a fold"
    )
    parser.add_argument("--output", type=Path, help=f"artifact folder to write; default: {WEIGHTS}/ and the task")
    parser.add_argument("--name", help="default: the task")
    parser.add_argument("--version", default="2.0")
    parser.add_argument("--dataset", type=Path, help="folder of the images; default: the one the run was trained on")
    parser.add_argument(
        "--elsewhere",
        type=Path,
        help="folder of labelled images of other clinics, none of them trained on, that what is chosen holds for too",
    )
    parser.add_argument("--init-label", help="what the manifest calls the initial weights")
    parser.add_argument("--views", type=int, choices=(1, 2), default=VIEWS, help="2: every image and its mirror image")
    parser.add_argument(
        "--finer-maps",
        action="store_true",
        help="class maps of twice the resolution, from the same weights: the last stride is taken out",
    )
    parser.add_argument("--served", type=int, metavar="N", help="serve the first N runs' networks; default: all")
    arguments = parser.parse_args(argv)
    try:
        task = read_run(arguments.run[0]).task
        folder = export(
            arguments.run,
            arguments.output or WEIGHTS / task,
            arguments.name or task,
            arguments.version,
            arguments.dataset,
            arguments.init_label,
            arguments.views,
            arguments.elsewhere,
            arguments.finer_maps,
            arguments.served,
        )
    except (DatasetError, RunMismatch, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"artifact: {folder}; next: python -m model.evaluate")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
