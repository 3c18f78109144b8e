"""Measure finished runs on the locked lesions, as rows of the table of models on the page Evaluation.

    python -m model.tabulate --run runs/mobilenet_v2 runs/xgboost_pixels
    python -m model.tabulate --run runs/mobilenet_v2 --dataset ../shared/ham10000 --output results/models

A run is a folder of `model.train` or of `model.train_trees`. What it needs to decide, calibration and thresholds, is
chosen on the fold that it was not trained on; the locked lesions are only scored. For each run a folder of its name in
`results/models` gets `model.json` (recipe, figures with intervals, size, milliseconds, minutes), `history.csv`,
`test_predictions.csv` and, up to 3 MB, the weights.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from data.datasets.ham10000 import DatasetError
from model.baselines.entry import write_entry
from model.evaluation.model_table import RESULTS, read_row, row_text
from model.training.recipe import RunMismatch


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, nargs="+", required=True, help="folders of finished runs")
    parser.add_argument("--dataset", type=Path, help="folder of the images; default: the one a run was trained on")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the table")
    arguments = parser.parse_args(argv)
    for run in arguments.run:
        command = f"python -m model.tabulate --run {run.name}"
        try:
            with tempfile.TemporaryDirectory() as scratch:
                folder = write_entry(run, arguments.output, command, Path(scratch), arguments.dataset)
        except (DatasetError, RunMismatch) as error:
            print(error, file=sys.stderr)
            return 2
        print(f"{folder}: {row_text(read_row(folder))}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
