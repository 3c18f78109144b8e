"""What a run was made on: machine, libraries and commit, in words that name no host and no folder."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CPU_FILE = Path("/proc/cpuinfo")
# The first installed one of each line is named by the line's first name.
LIBRARIES: tuple[tuple[str, ...], ...] = (
    ("tensorflow", "tensorflow-cpu"),
    ("keras",),
    ("xgboost", "xgboost-cpu"),
    ("numpy",),
)


@dataclass(frozen=True)
class Environment:
    """Where something was measured.

    Attributes:
        cpu: the processor's name, as far as the system says it.
        cores: that this process may use.
        memory_gb: of the machine, in GiB; NaN where the system does not say.
        gpu: its name; empty without one.
        system: operating system and machine type.
        instance: of the cloud, for example `ml.c7i.4xlarge`; empty on a machine of one's own.
        libraries: their versions in one line.
    """

    cpu: str
    cores: int
    memory_gb: float
    gpu: str
    system: str
    instance: str
    libraries: str


def environment_of(instance: str = "") -> Environment:
    """This machine; starts `nvidia-smi` where there is one."""
    return Environment(
        cpu=_cpu(CPU_FILE.read_text() if CPU_FILE.is_file() else "") or platform.processor() or platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gb=_memory_gb(),
        gpu=_gpu(),
        system=f"{platform.system()} {platform.machine()}",
        instance=instance,
        libraries=", ".join(
            [f"Python {platform.python_version()}", *(text for text in map(_versioned, LIBRARIES) if text)]
        ),
    )


def _cpu(text: str) -> str:
    """The model name in the text of `/proc/cpuinfo`; empty where it holds none."""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else ""


def _memory_gb() -> float:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return float("nan")


def _gpu() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    return asked.stdout.strip().splitlines()[0] if asked.returncode == 0 and asked.stdout.strip() else ""


def _versioned(names: tuple[str, ...]) -> str:
    for name in names:
        try:
            return f"{names[0]} {version(name)}"
        except PackageNotFoundError:
            continue
    return ""


def instance_of(variables: Mapping[str, str], root: Path = Path("/")) -> str:
    """The cloud instance that SageMaker says this is; empty elsewhere.

    Source:
        https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html.
    """
    if "SM_CURRENT_INSTANCE_TYPE" in variables:
        return variables["SM_CURRENT_INSTANCE_TYPE"]
    path = root / "opt/ml/input/config/resourceconfig.json"
    if not path.is_file():
        return ""
    return str(json.loads(path.read_text(encoding="utf-8")).get("current_instance_type", ""))


def created_by(command: str) -> dict[str, str]:
    """When, by which command and from which commit something was made."""
    return {"utc": datetime.now(UTC).isoformat(timespec="seconds"), "command": command, "commit": commit()}


def commit() -> str:
    """The commit of the code that runs, and whether tracked files differ from it."""
    head = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return f"{head or 'unknown'}{' with changes' if changes else ''}"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()
