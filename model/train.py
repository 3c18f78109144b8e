r"""Train a network on HAM10000, by lesion, with progress, checkpoints and resume.

    python -m model.train --dataset ../shared/ham10000 --init imagenet     # --init PATH where there is no network
    python -m model.train ... --resume                                     # goes on where a killed run was
    python -m model.train ... --extra labelled                             # and a clinic's own cases
    (data.cases.labelled) python -m model.train --dataset ../shared/ham10000 --init none --limit 32 --run runs/small \
        --low-resolution-epochs 0 --middle-resolution-epochs 0 --full-resolution-epochs 1   # a minute on a laptop

Four phases: the new layers alone on a frozen backbone; all layers at half of the side, which is cheap; then, with
batch norm as it stands, the middle and upper layers at an intermediate size and the upper ones at full size, since
what a network has to relearn for a larger input sits there (Touvron et al., NeurIPS 2019, arXiv:1906.06423) and the
lower ones cost most of the time. With the lesion masks, two more losses teach the network where the lesion is
(`model.networks.losses`). The run folder keeps the checkpoint, the network and `history.csv`; `model.export` turns the
runs of all folds into the artifact the dashboard serves.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from model.networks.backbones import BACKBONES
from model.training.recipe import SAMPLINGS, recipe_from
from model.training.run import train


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="data/raw/ham10000", help="HAM10000 folder")
    parser.add_argument(
        "--init",
        default="imagenet",
        help="imagenet (downloads), a weights file, an earlier run or an artifact folder to train its network of the "
        "fold on, or none",
    )
    parser.add_argument("--backbone", choices=sorted(BACKBONES), default="lesion_mobilenet_v2")
    parser.add_argument("--run", type=Path, default=Path("runs/skin"), help="folder for checkpoints and results")
    parser.add_argument("--resume", action="store_true", help="go on from the run folder's last checkpoint")
    parser.add_argument("--sampling", choices=SAMPLINGS, default="sqrt", help="how class imbalance is handled")
    parser.add_argument("--validation-fold", type=int, default=0, help="lesion-grouped fold that is not trained on")
    parser.add_argument("--head-epochs", type=int, default=1, help="epochs of the dense layer on frozen layers")
    parser.add_argument("--low-resolution-epochs", type=int, default=4, help="epochs of all layers at 96 x 128")
    parser.add_argument("--middle-resolution-epochs", type=int, default=3, help="epochs of most layers at 160 x 224")
    parser.add_argument("--middle-resolution-from", default="block_3_expand", help="first layer trained at 160 x 224")
    parser.add_argument("--full-resolution-epochs", type=int, default=3, help="epochs of the upper layers at 192 x 256")
    parser.add_argument("--full-resolution-from", default="block_6_expand", help="first layer trained at 192 x 256")
    parser.add_argument("--averaged-epochs", type=int, default=1, help="the network is the mean of the last so many")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--head-learning-rate", type=float, default=1e-3, help="peak of the phase's cosine schedule")
    parser.add_argument("--low-resolution-learning-rate", type=float, default=5e-4)
    parser.add_argument("--middle-resolution-learning-rate", type=float, default=4e-4)
    parser.add_argument("--full-resolution-learning-rate", type=float, default=2e-4)
    parser.add_argument("--weight-decay", type=float, default=5e-2)
    parser.add_argument("--label-smoothing", type=float, default=0.05)
    parser.add_argument("--lesion-weight", type=float, default=0.5, help="weight of the loss on where the lesion is")
    parser.add_argument("--map-weight", type=float, default=0.2, help="weight of the loss on the true class's map")
    parser.add_argument(
        "--extra",
        type=Path,
        action="append",
        default=[],
        help="folder of labelled images (data.cases.labelled) to train on as well; never for validation or test; may "
        "be repeated",
    )
    parser.add_argument("--limit", type=int, help="train and validate on at most this many images of the dataset each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint-minutes", type=float, default=3.0, help="at most so much is lost by a kill")
    return parser


def main() -> None:
    arguments = build_parser().parse_args()
    path = train(recipe_from(arguments), arguments.run, arguments.resume, arguments.checkpoint_minutes)
    print(f"trained network: {path}; next: python -m model.export --run {arguments.run}")


if __name__ == "__main__":
    main()
