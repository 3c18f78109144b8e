r"""Train a network of a task's dataset, by lesion, with progress, checkpoints and resume.

    python -m model.train --dataset ../shared/ham10000 --init imagenet     # --init PATH where there is no network
    python -m model.train ... --backbone efficientnet_lite0 --init ../shared/pretrained/efficientnet_lite0_imagenet.npz
    python -m model.train ... --resume                                     # goes on where a killed run was
    python -m model.train ... --extra labelled                             # and a clinic's own cases
    (data.cases.labelled) python -m model.train --dataset ../shared/ham10000 --init none --limit 32 --run runs/small \
        --low-resolution-epochs 0 --middle-resolution-epochs 0 --full-resolution-epochs 1   # a minute on a laptop

Four phases: the new layers alone on a frozen backbone; all layers at half of the side, which is cheap; then, with
batch norm as it stands, the middle and upper layers at an intermediate size and the upper ones at full size, since
what a network has to relearn for a larger input sits there (Touvron et al., NeurIPS 2019, arXiv:1906.06423) and the
lower ones cost most of the time. `--low-resolution 1` makes it two phases at one size. With the lesion masks, two more
losses teach the network where the lesion is (`model.networks.losses`). The run folder keeps the checkpoint, the network
and `history.csv`; `model.export` turns the runs of all folds into the artifact the dashboard serves.

In a training job of SageMaker or Vertex AI the folders are theirs (`model.training.cloud`): `SM_CHANNEL_TRAINING` or
`AIP_TRAINING_DATA_URI` is the dataset, `SM_MODEL_DIR` or `AIP_MODEL_DIR` gets the trained network, checkpoints lie
where the service keeps them, and a job that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from data.datasets.ham10000 import MASK_FOLDER, DatasetError
from data.datasets.splits import SPLIT_SEED
from data.tasks.known import DEFAULT_TASK, TASKS
from model.arguments import add_dataset
from model.images.contrast import CONTRASTS
from model.images.framing import AS_FRAMED, CROPS
from model.inference.artifact import ArtifactMismatch
from model.networks.backbones import BACKBONES, DEFAULT_BACKBONE
from model.networks.features import WeightsMismatch
from model.training.cloud import Places, hand_over, hyperparameters, places_of
from model.training.phases import SIZE_STEP
from model.training.recipe import AUGMENTATIONS, HEIGHT, SAMPLINGS, WIDTH, Recipe, RunMismatch, describe_extra
from model.training.run import train


def build_parser(places: Places | None = None) -> argparse.ArgumentParser:
    """The options of the command line; in a job of a cloud service its folders are the defaults."""
    places = places or Places()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=sorted(TASKS), default=DEFAULT_TASK, help="what the network tells apart")
    add_dataset(parser, places.dataset)
    parser.add_argument(
        "--init",
        default="imagenet",
        help="imagenet (downloads), a weights file, an earlier run or an artifact folder to train its network of the "
        "fold on, or none",
    )
    parser.add_argument("--backbone", choices=sorted(BACKBONES), default=DEFAULT_BACKBONE)
    parser.add_argument(
        "--lesion-branch",
        action=argparse.BooleanOptionalAction,
        help="a branch that finds the lesion, which the evidence is weighed by; default: if the dataset has masks",
    )
    parser.add_argument("--height", type=_side, default=HEIGHT, help="of the network input, pixels")
    parser.add_argument("--width", type=_side, default=WIDTH)
    run = places.run or Path("runs/skin")
    parser.add_argument("--run", type=Path, default=run, help="folder for checkpoints and results")
    parser.add_argument(
        "--resume",
        action="store_true",
        default=places.run is not None,
        help="go on from the run folder's last checkpoint",
    )
    parser.add_argument(
        "--model-dir", type=Path, default=places.model, help="folder that gets a copy of the finished network as well"
    )
    parser.add_argument(
        "--tensorboard",
        type=Path,
        default=places.logs,
        help="folder for TensorBoard's logs; needs requirements-training",
    )
    parser.add_argument(
        "--question-alone",
        action="store_true",
        help="tell only the two sides of the task's question apart, malignant and benign: to be compared, not served",
    )
    parser.add_argument(
        "--sampling",
        choices=SAMPLINGS,
        default="sqrt",
        help="how class imbalance is handled; balanced: every class is drawn equally often",
    )
    parser.add_argument(
        "--augmentation",
        choices=AUGMENTATIONS,
        default="all",
        help="how training images are varied; geometry: turned, flipped, moved and zoomed alone",
    )
    parser.add_argument(
        "--crop",
        choices=CROPS,
        default=AS_FRAMED.crop,
        help="how images are laid under the network's input; circle: by the round field of a retinal photograph; "
        "band: by its middle, which every camera shows",
    )
    parser.add_argument(
        "--contrast",
        choices=CONTRASTS,
        default=AS_FRAMED.contrast,
        help="what is done to their light; local_average: the average around each pixel subtracted; equalised: "
        "contrast-limited, tile by tile",
    )
    parser.add_argument("--validation-fold", type=int, default=0, help="lesion-grouped fold that is not trained on")
    parser.add_argument("--head-epochs", type=int, default=1, help="epochs of the dense layer on frozen layers")
    parser.add_argument("--low-resolution-epochs", type=int, default=4, help="epochs of all layers at low resolution")
    parser.add_argument(
        "--low-resolution",
        type=_share_or_all,
        default=0.5,
        help="share of the full side in the first two phases, above 0, at most 1; default: 0.5",
    )
    parser.add_argument(
        "--middle-resolution-epochs",
        type=int,
        default=3,
        help="epochs of most layers at 160 x 224, if full size is 192 x 256",
    )
    parser.add_argument("--middle-resolution-from", help="first layer trained in that phase; default: the backbone's")
    parser.add_argument("--full-resolution-epochs", type=int, default=3, help="epochs of the upper layers at full size")
    parser.add_argument("--full-resolution-from", help="first layer trained in that phase; default: the backbone's")
    parser.add_argument("--averaged-epochs", type=int, default=1, help="the network is the mean of the last so many")
    parser.add_argument(
        "--init-share",
        type=_share,
        default=0.0,
        help="what the network keeps of the weights of the earlier one that --init names, between 0 and 1; default: 0",
    )
    parser.add_argument(
        "--teacher",
        action="append",
        default=[],
        help="folder of a finished run; it softens the labels of the images of its fold; may be repeated",
    )
    parser.add_argument(
        "--teacher-share", type=_share, default=0.5, help="of a softened label that its teacher says; default: 0.5"
    )
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--head-learning-rate", type=float, default=1e-3, help="peak of the phase's cosine schedule")
    parser.add_argument("--low-resolution-learning-rate", type=float, default=5e-4)
    parser.add_argument("--middle-resolution-learning-rate", type=float, default=4e-4)
    parser.add_argument("--full-resolution-learning-rate", type=float, default=2e-4)
    parser.add_argument("--weight-decay", type=float, default=5e-2)
    parser.add_argument("--label-smoothing", type=float, default=0.05)
    parser.add_argument(
        "--grade-weight",
        type=float,
        default=0.0,
        help="of a task whose classes are grades: weight of the squared distance from the true grade; default: 0",
    )
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
    parser.add_argument(
        "--extra-share",
        type=_share,
        help="how much of a class's images are drawn from the extra folders, where it has some there, between 0 and 1 "
        "(not with --sampling natural); default: as many as their counts",
    )
    parser.add_argument("--limit", type=int, help="train and validate on at most this many images of the dataset each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint-minutes", type=float, default=3.0, help="at most so much is lost by a kill")
    return parser


def _side(text: str) -> int:
    side = int(text)
    if side < 2 * SIZE_STEP or side % SIZE_STEP:
        raise argparse.ArgumentTypeError(f"expected a multiple of {SIZE_STEP} from {2 * SIZE_STEP} on, received {side}")
    return side


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, received {text}")
    return share


def _share_or_all(text: str) -> float:
    return 1.0 if float(text) == 1 else _share(text)


def dataset_from(arguments: argparse.Namespace) -> Path:
    """The folder that command-line arguments name, or that of the task."""
    return arguments.dataset or TASKS[arguments.task].dataset.folder


def recipe_from(arguments: argparse.Namespace) -> Recipe:
    """The recipe that command-line arguments describe.

    Raises:
        DatasetError: an extra folder cannot be used.
        RunMismatch: extra folders, whose labels may leave classes open, for a network of the question alone; a crop
            and the lesion branch; or a weight of grades where the classes are none.
    """
    if arguments.question_alone and arguments.extra:
        raise RunMismatch("expected --question-alone or --extra, received both; leave one out")
    if arguments.grade_weight and (arguments.question_alone or not TASKS[arguments.task].is_ordinal):
        raise RunMismatch("expected grades for --grade-weight, received classes that are names; leave it out")
    backbone = BACKBONES[arguments.backbone]
    dataset = dataset_from(arguments)
    has_branch = has_masks(dataset) if arguments.lesion_branch is None else arguments.lesion_branch
    if arguments.crop != AS_FRAMED.crop and has_branch:
        raise RunMismatch("expected --crop or the lesion branch, whose masks are not cropped; add --no-lesion-branch")
    return Recipe(
        task=arguments.task,
        dataset=str(dataset),
        init=arguments.init,
        backbone=backbone.name,
        lesion_branch=has_branch,
        height=arguments.height,
        width=arguments.width,
        sampling=arguments.sampling,
        validation_fold=arguments.validation_fold,
        head_epochs=arguments.head_epochs,
        low_resolution_epochs=arguments.low_resolution_epochs,
        middle_resolution_epochs=arguments.middle_resolution_epochs,
        middle_resolution_from=arguments.middle_resolution_from or backbone.middle_resolution_from,
        full_resolution_epochs=arguments.full_resolution_epochs,
        full_resolution_from=arguments.full_resolution_from or backbone.full_resolution_from,
        averaged_epochs=max(arguments.averaged_epochs, 1),
        batch_size=arguments.batch_size,
        head_learning_rate=arguments.head_learning_rate,
        low_resolution_learning_rate=arguments.low_resolution_learning_rate,
        middle_resolution_learning_rate=arguments.middle_resolution_learning_rate,
        full_resolution_learning_rate=arguments.full_resolution_learning_rate,
        weight_decay=arguments.weight_decay,
        label_smoothing=arguments.label_smoothing,
        lesion_weight=arguments.lesion_weight if has_branch else 0.0,
        map_weight=arguments.map_weight if has_branch else 0.0,
        seed=arguments.seed,
        split_seed=SPLIT_SEED,
        limit=arguments.limit,
        extra=tuple(describe_extra(folder, TASKS[arguments.task].codes) for folder in arguments.extra),
        extra_share=arguments.extra_share,
        init_share=arguments.init_share,
        augmentation=arguments.augmentation,
        low_resolution=arguments.low_resolution,
        question_alone=arguments.question_alone,
        crop=arguments.crop,
        contrast=arguments.contrast,
        grade_weight=arguments.grade_weight,
        teachers=tuple(arguments.teacher),
        teacher_share=arguments.teacher_share if arguments.teacher else 0.0,
    )


def has_masks(dataset: Path) -> bool:
    """Whether a dataset has lesion masks; one that is not there yet is taken to have some."""
    return (dataset / MASK_FOLDER).is_dir() or not dataset.is_dir()


def main(argv: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    # What SageMaker starts a container with that has no entry point of its own.
    words = [*hyperparameters(), *(given[1:] if given[:1] == ["train"] else given)]
    arguments = build_parser(places_of(os.environ)).parse_args(words)
    if arguments.tensorboard is not None and find_spec("tensorboard") is None:
        print("expected the package tensorboard; run: pip install -r requirements-training.txt", file=sys.stderr)
        return 2
    if arguments.lesion_branch is None and not has_masks(dataset_from(arguments)):
        print(f"{dataset_from(arguments)} has no lesion masks: training without the branch that finds the lesion")
    try:
        path = train(
            recipe_from(arguments),
            arguments.run,
            arguments.resume,
            arguments.checkpoint_minutes,
            arguments.tensorboard,
        )
    except (ArtifactMismatch, DatasetError, RunMismatch, WeightsMismatch) as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.model_dir is not None:
        hand_over(arguments.run, arguments.model_dir)
    print(f"trained network: {path}; next: python -m model.export --run {arguments.run}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
