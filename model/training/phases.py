"""What a run does when: its phases, each with its input size and trainable layers, and the epochs they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.networks.backbones import IMAGE_LAYER
from model.training.recipe import Recipe

# Of the full side, to the next multiple of 32, so that positions at strides 16 and 32 fit onto each other: 160 x 224, a
# slightly wider crop, of 192 x 256. Low resolution is the recipe's, by default 96 x 128, half of the side.
MIDDLE_RESOLUTION = 0.85
SIZE_STEP = 32
HEAD = "head"


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one input size, one set of trainable layers and one learning-rate schedule."""

    name: str
    epochs: int
    height: int
    width: int
    first_trainable: str
    is_batch_norm_frozen: bool
    learning_rate: float


@dataclass(frozen=True)
class Epoch:
    """One epoch of the plan."""

    number: int
    phase: Phase
    is_first: bool


def plan_phases(recipe: Recipe) -> list[Phase]:
    """The phases of a run in order; a phase of 0 epochs is left out."""
    low, middle = (_share_of_size(recipe, share) for share in (recipe.low_resolution, MIDDLE_RESOLUTION))
    phases = [
        Phase("head", recipe.head_epochs, *low, HEAD, True, recipe.head_learning_rate),
        Phase(
            "low resolution",
            recipe.low_resolution_epochs,
            *low,
            IMAGE_LAYER,
            False,
            recipe.low_resolution_learning_rate,
        ),
        Phase(
            "middle resolution",
            recipe.middle_resolution_epochs,
            *middle,
            recipe.middle_resolution_from,
            True,
            recipe.middle_resolution_learning_rate,
        ),
        Phase(
            "full resolution",
            recipe.full_resolution_epochs,
            recipe.height,
            recipe.width,
            recipe.full_resolution_from,
            True,
            recipe.full_resolution_learning_rate,
        ),
    ]
    return [phase for phase in phases if phase.epochs]


def _share_of_size(recipe: Recipe, share: float) -> tuple[int, int]:
    height, width = (max(round(side * share / SIZE_STEP), 1) * SIZE_STEP for side in (recipe.height, recipe.width))
    return height, width


def plan_epochs(recipe: Recipe) -> list[Epoch]:
    """The epochs of a run in order, numbered from 0."""
    steps = [(phase, turn == 0) for phase in plan_phases(recipe) for turn in range(phase.epochs)]
    return [Epoch(number, phase, is_first) for number, (phase, is_first) in enumerate(steps)]


def epochs_to_average(epochs: Sequence[Epoch], count: int) -> list[Epoch]:
    """The last `count` epochs, as far as they belong to the last phase: another phase's weights lie elsewhere."""
    return [epoch for epoch in epochs[-count:] if epoch.phase == epochs[-1].phase]
