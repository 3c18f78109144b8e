"""Sentences of the Evaluation page that say what was measured."""

from __future__ import annotations

import pandas as pd
import pytest

from dashboard.evaluation.wording import training_note
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN


@pytest.mark.parametrize("losses", [["lesion_loss", "map_loss"], ["lesion_loss"], ["map_loss"]])
def test_training_note_speaks_of_masks_where_there_were_losses_on_them(losses: list[str]) -> None:
    note = training_note(SKIN, pd.DataFrame(columns=["epoch", "loss", *losses]))
    assert "label smoothing and without the losses on the lesion masks; validation" in note


@pytest.mark.parametrize("task", [SKIN, RETINA])
def test_training_note_of_a_run_without_masks_has_none(task) -> None:  # type: ignore[no-untyped-def]
    note = training_note(task, pd.DataFrame(columns=["epoch", "loss"]))
    assert "its loss with label smoothing; validation" in note and "mask" not in note
