r"""Grow boosted trees on the pixels of small images, or on embeddings of a frozen MobileNetV2: what networks must beat.

    python -m model.train_trees --dataset ../shared/ham10000 --run runs/xgboost_pixels
    python -m model.train_trees --dataset ../shared/ham10000 --run runs/xgboost_embeddings --features embeddings \
        --init imagenet                                                     # --init PATH where there is no network
    python -m model.train_trees --dataset ../shared/ham10000 --run runs/small --limit 100 --rounds 5     # seconds

The lesions that are trained on, validated on and locked away are those of `model.train`, and so are the run folder's
`history.csv` (a row a round) and what `model.tabulate` makes of it. Needs `requirements-training.txt`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from data.datasets.ham10000 import DatasetError
from data.datasets.splits import SPLIT_SEED
from data.tasks.known import DEFAULT_TASK, TASKS
from model.arguments import add_dataset, whole_number
from model.baselines.trees import FEATURES, SIZES, TreesRecipe, train_trees
from model.training.recipe import SAMPLINGS, RunMismatch


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=sorted(TASKS), default=DEFAULT_TASK, help="what the trees tell apart")
    parser.add_argument("--question-alone", action="store_true", help="the two sides of the task's question alone")
    add_dataset(parser)
    parser.add_argument("--features", choices=FEATURES, default="pixels")
    parser.add_argument("--init", default="imagenet", help="weights of the embedder: imagenet, a file, or none")
    parser.add_argument("--height", type=whole_number(8), help="pixels; default: 28 of pixels, 96 of embeddings")
    parser.add_argument("--width", type=whole_number(8), help="default: 28 and 128")
    parser.add_argument("--run", type=Path, default=Path("runs/trees"), help="folder for the results")
    parser.add_argument("--rounds", type=whole_number(1), default=150, help="of boosting, a tree a class in each")
    parser.add_argument("--depth", type=whole_number(1), default=6)
    parser.add_argument("--learning-rate", type=float, default=0.15)
    parser.add_argument("--sampling", choices=SAMPLINGS, default="sqrt", help="how much images of rare classes count")
    parser.add_argument("--validation-fold", type=int, default=0, help="lesion-grouped fold that is not trained on")
    parser.add_argument("--limit", type=int, help="train and validate on at most this many images each")
    parser.add_argument("--seed", type=int, default=1)
    return parser


def recipe_from(arguments: argparse.Namespace) -> TreesRecipe:
    """The recipe that command-line arguments describe."""
    height, width = SIZES[arguments.features]
    return TreesRecipe(
        dataset=str(arguments.dataset or TASKS[arguments.task].dataset.folder),
        sampling=arguments.sampling,
        validation_fold=arguments.validation_fold,
        seed=arguments.seed,
        split_seed=SPLIT_SEED,
        limit=arguments.limit,
        features=arguments.features,
        init="none" if arguments.features == "pixels" else arguments.init,
        height=arguments.height or height,
        width=arguments.width or width,
        rounds=arguments.rounds,
        depth=arguments.depth,
        learning_rate=arguments.learning_rate,
        task=arguments.task,
        question_alone=arguments.question_alone,
    )


def main(argv: Sequence[str] | None = None) -> int:
    # Loads Keras, which trees on pixels have no other use for.
    from model.networks.features import WeightsMismatch

    arguments = build_parser().parse_args(argv)
    try:
        path = train_trees(recipe_from(arguments), arguments.run)
    except (DatasetError, RunMismatch, WeightsMismatch) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"trees: {path}; next: python -m model.tabulate --run {arguments.run}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
