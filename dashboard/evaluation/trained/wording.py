"""Text on trained models and on what training costs."""

from __future__ import annotations

import math

from dashboard.shell.formats import plural
from data.tasks.task import Task
from model.evaluation.model_table import ModelRow
from model.evaluation.training_costs import TrainingCost

# --- Models ----------------------------------------------------------------------------------------------------------

MODELS_HEADING = "Models trained here"
MODELS_TITLE = "Models on the same locked {subjects}"
MODELS_CHART_TITLE = "AUROC, {positive} against {negative}, of each model"
MODELS_AXIS = "AUROC, {positive} against {negative}"
MODELS_NOTE = (
    "All were scored once on the same locked {images}; thresholds were chosen on {images} that the model was not "
    "trained on. Balanced accuracy of two classes cannot be compared with that of {count}. Milliseconds: one answer on "
    "one thread. Minutes: of training, and in brackets those of one processor core; other work slowed some down. "
    "docs/models.md says how each was trained and what this does not show."
)
NO_MODELS = "No other model has been measured here. `python -m model.tabulate` adds one."
REPORTED_HEADING = "What others report"
REPORTED_NOTE = (
    "Citations, not measurements: these figures stand in other people's reports. They were measured on other images, "
    "mostly split by image and not by {subject}, and cannot be compared with the table above figure by figure."
)
SERVED = "see About"
FROM_SCRATCH = "random weights"
TREES = "none"


def model_title(row: ModelRow, task: Task) -> str:
    """What the table calls a model; of one that tells only two sides apart, that it does."""
    return row.kind if row.classes == len(task.classes) else f"{row.kind}, {row.classes} classes"


def started_from(row: ModelRow) -> str:
    """Which weights a network started from."""
    if not row.init:
        return SERVED
    if row.init == "none":
        return FROM_SCRATCH if row.counted == "weights" else "no network"
    return "ImageNet weights"


def how_trained(row: ModelRow) -> str:
    """On how many images, how often, at which size."""
    if not row.trained_on:
        return f"{row.width} x {row.height} px"
    rounds = plural(row.epochs, "epoch") if row.counted == "weights" else plural(row.epochs, "round")
    return f"{row.trained_on:,} images, {rounds}, {row.width} x {row.height} px"


def parameters(row: ModelRow) -> str:
    """How many parameters a model has: of trees, nodes."""
    if row.parameters >= 1_000_000:
        return f"{row.parameters / 1e6:.1f} M"
    count = f"{row.parameters / 1e3:.0f} k" if row.parameters >= 1_000 else f"{row.parameters:,}"
    return count if row.counted == "weights" else f"{count} nodes"


def minutes(row: ModelRow) -> str:
    """How long training took, and how long one core would have taken for it."""
    core = "" if math.isnan(row.processor_minutes) else f" ({row.processor_minutes:.1f})"
    return f"{row.minutes:,.1f}{core}"


def number(value: float, decimals: int) -> str:
    """A measured number; a dash where it was not measured."""
    return "–" if math.isnan(value) else f"{value:,.{decimals}f}"


# --- What training costs ---------------------------------------------------------------------------------------------

COSTS_HEADING = "What training costs"
COSTS_TITLE = "Speed of training by number of images"
COSTS_NOTE = (
    "Two epochs of all layers; the seconds are those of the second one and its validation. Metrics are of the "
    "validation fold after so short a training: they show what more images give, not what the model can do. Load: "
    "processes that ran or waited before the training began. Where it is not near zero, other work slowed it down."
)
NO_COSTS = "No training has been measured yet. `python -m model.bench_training` measures one."
NO_CLOUD = "No training in a cloud has been measured yet: deploy/README.md shows how one is started."
OWN_MACHINE, CLOUD = "machine of one's own", "cloud"


def costs_data(costs: tuple[TrainingCost, ...]) -> str:
    """What the chart and the table are of."""
    machines = len({(cost.instance, cost.cpu, cost.cores) for cost in costs})
    return f"{plural(len(costs), 'training')} on {plural(machines, 'machine')}, measured by model.bench_training"


def machine(cost: TrainingCost) -> str:
    """Where a training ran."""
    kind = f"{cost.cpu}, {plural(cost.cores, 'core')}" + (f", {cost.gpu}" if cost.gpu else "")
    return f"{cost.instance}: {kind}" if cost.instance else kind


def price(cost: TrainingCost) -> str:
    """What an epoch costs; a dash where no price was given."""
    if math.isnan(cost.price_per_hour):
        return "–"
    return f"US$ {cost.cost_an_epoch:.4f} (US$ {cost.price_per_hour:.2f} an hour)"
