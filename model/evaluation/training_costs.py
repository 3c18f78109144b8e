"""What trainings cost on which machine: the rows that `model.bench_training` wrote."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from model.evaluation.model_table import ResultsError
from model.measures.intervals import Estimate

RESULTS = Path(__file__).resolve().parents[2] / "results" / "training.csv"
SECONDS_AN_HOUR = 3600


@dataclass(frozen=True)
class TrainingCost:
    """One training.

    Attributes:
        when: UTC, as written.
        instance: of the cloud; empty for a machine of one's own.
        cpu, cores, gpu, libraries: of the machine; no name for no graphics card.
        task: key of what the network tells apart.
        backbone, height, width: of the network.
        training_images, validation_images: of an epoch.
        seconds_an_epoch, images_per_second: with validation after the epoch.
        processor_share: of all cores, in [0, 1].
        peak_memory_mb: MiB.
        load_before: processes that ran or waited before it began; NaN where unknown.
        balanced_accuracy, macro_auroc: of the validation fold.
        price_per_hour: US dollars; NaN where none was given.
    """

    when: str
    instance: str
    cpu: str
    cores: int
    gpu: str
    libraries: str
    task: str
    backbone: str
    height: int
    width: int
    training_images: int
    validation_images: int
    seconds_an_epoch: float
    images_per_second: float
    processor_share: float
    peak_memory_mb: float
    load_before: float
    balanced_accuracy: Estimate
    macro_auroc: Estimate
    price_per_hour: float

    @property
    def is_cloud(self) -> bool:
        return bool(self.instance)

    @property
    def cost_an_epoch(self) -> float:
        """US dollars; NaN where no price was given."""
        return self.price_per_hour * self.seconds_an_epoch / SECONDS_AN_HOUR


def read_costs(path: Path = RESULTS) -> tuple[TrainingCost, ...]:
    """The rows, machines of one's own first, then by images; none where the table is not there.

    Raises:
        ResultsError: the table is not what `model.bench_training` writes.
    """
    if not path.is_file():
        return ()
    try:
        table = pd.read_csv(path, keep_default_na=False, dtype=str)
        costs = [_cost(row) for row in table.to_dict("records")]
    except (OSError, ValueError, KeyError) as error:
        raise ResultsError(
            f"{path.name}: expected what model.bench_training writes, could not read it ({error!r}); restore it"
        ) from error
    return tuple(sorted(costs, key=lambda cost: (cost.is_cloud, cost.instance, cost.training_images, cost.when)))


def _cost(row: Mapping[Hashable, str]) -> TrainingCost:
    def number(name: str) -> float:
        return float(row[name]) if row[name] else math.nan

    def estimate(name: str) -> Estimate:
        return Estimate(number(name), number(f"{name}_low"), number(f"{name}_high"))

    texts = ("instance", "cpu", "gpu", "libraries", "task", "backbone")
    counts = ("cores", "height", "width", "training_images", "validation_images")
    measures = (
        "seconds_an_epoch",
        "images_per_second",
        "processor_share",
        "peak_memory_mb",
        "load_before",
        "price_per_hour",
    )
    values: dict[str, Any] = {name: row[name] for name in texts}
    values |= {name: int(row[name]) for name in counts}
    values |= {name: number(name) for name in measures}
    values |= {name: estimate(name) for name in ("balanced_accuracy", "macro_auroc")}
    return TrainingCost(when=row["utc"], **values)
