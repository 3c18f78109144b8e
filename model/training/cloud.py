"""Where SageMaker and Vertex AI put what a training reads, and from where they keep what it writes.

Both start a container with folders in agreed places and say so in variables: SageMaker has `/opt/ml`, Vertex AI mounts
buckets below `/gcs`, so that `gs://bucket/folder` is `/gcs/bucket/folder`.

Source:
    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html;
    https://github.com/aws/sagemaker-training-toolkit/blob/master/ENVIRONMENT_VARIABLES.md;
    https://cloud.google.com/vertex-ai/docs/training/code-requirements.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MODEL_FILES = ("network.keras", "history.csv", "run.json")
BUCKET = "gs://"


@dataclass(frozen=True)
class Places:
    """The folders of a training that a service started; None where it names none.

    Attributes:
        dataset: shaped like HAM10000.
        run: for checkpoints, which the service copies away while the training runs and puts back when it starts anew.
        model: where the trained network is left for the service to keep.
        logs: for TensorBoard.
    """

    dataset: Path | None = None
    run: Path | None = None
    model: Path | None = None
    logs: Path | None = None


def places_of(variables: Mapping[str, str], root: Path = Path("/")) -> Places:
    """The folders that a service's variables name, or none of them on a machine of one's own.

    Args:
        variables: of the environment.
        root: of the file system.
    """
    sagemaker = root / "opt/ml"
    if "SM_CHANNEL_TRAINING" in variables or "SM_MODEL_DIR" in variables or (sagemaker / "input/data").is_dir():
        return Places(
            dataset=Path(variables.get("SM_CHANNEL_TRAINING", sagemaker / "input/data/training")),
            run=sagemaker / "checkpoints",
            model=Path(variables.get("SM_MODEL_DIR", sagemaker / "model")),
        )
    return Places(
        dataset=_mounted(variables, "AIP_TRAINING_DATA_URI", root),
        run=_mounted(variables, "AIP_CHECKPOINT_DIR", root),
        model=_mounted(variables, "AIP_MODEL_DIR", root),
        logs=_mounted(variables, "AIP_TENSORBOARD_LOG_DIR", root),
    )


def _mounted(variables: Mapping[str, str], name: str, root: Path) -> Path | None:
    address = variables.get(name, "")
    if not address:
        return None
    return root / "gcs" / address.removeprefix(BUCKET) if address.startswith(BUCKET) else Path(address)


def hyperparameters(root: Path = Path("/")) -> list[str]:
    """What a SageMaker job was given as hyperparameters, as options of the command line; none elsewhere.

    `{"low-resolution-epochs": "2", "no-lesion-branch": ""}` is `--low-resolution-epochs 2 --no-lesion-branch`. Those of
    SageMaker's own toolkit are left out.
    """
    path = root / "opt/ml/input/config/hyperparameters.json"
    if not path.is_file():
        return []
    given = json.loads(path.read_text(encoding="utf-8"))
    return [
        word
        for name, value in given.items()
        if not name.startswith("sagemaker_")
        for word in (f"--{name.removeprefix('--')}", str(value))
        if word
    ]


def hand_over(run: Path, model: Path) -> None:
    """Copy what a finished run made, without its checkpoints, to where the service keeps it."""
    model.mkdir(parents=True, exist_ok=True)
    for name in MODEL_FILES:
        shutil.copyfile(run / name, model / name)
