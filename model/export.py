"""Turn finished training runs into the artifact folder that the dashboard serves.

    python -m model.export --run runs/fold0 runs/fold1 runs/fold2 runs/fold3 runs/fold4 --version 2.0

The runs' networks become one ensemble; each was trained without one fold, and its predictions of that fold, out of
fold, are what calibration, thresholds, prediction sets and the gate are chosen on. Writes `model.keras` and
`model.tflite` (one forward pass: logits, embedding, texture, class-activation maps, lesion), scores the locked test
lesions with the serving file itself, and states all of it in `manifest.json`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from model.training.artifact_writer import DEFAULT_RUNS, VIEWS, export


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--run", type=Path, nargs="+", default=DEFAULT_RUNS, help="folders that model.train wrote, one a fold"
    )
    parser.add_argument("--output", type=Path, default=Path("model/weights/skin"), help="artifact folder to write")
    parser.add_argument("--name", default="skin")
    parser.add_argument("--version", default="2.0")
    parser.add_argument("--dataset", type=Path, help="HAM10000 folder; default: the one the run was trained on")
    parser.add_argument("--init-label", help="what the manifest calls the initial weights")
    parser.add_argument("--views", type=int, choices=(1, 2), default=VIEWS, help="2: every image and its mirror image")
    arguments = parser.parse_args(argv)
    folder = export(
        arguments.run,
        arguments.output,
        arguments.name,
        arguments.version,
        arguments.dataset,
        arguments.init_label,
        arguments.views,
    )
    print(f"artifact: {folder}; next: python -m model.evaluate")


if __name__ == "__main__":
    main()
