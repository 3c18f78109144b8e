"""Sentences of the Evaluation page that say what was measured."""

from __future__ import annotations

import pandas as pd
import pytest

from dashboard.evaluation import model_card
from dashboard.evaluation.studies import elsewhere_wording
from dashboard.evaluation.studies.trust_tables import outcome_frame
from dashboard.evaluation.studies.trust_wording import STUDIES
from dashboard.evaluation.wording import training_note
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from model.inference.artifact import DEFAULT_ARTIFACT, load_artifact

MANIFEST = load_artifact(DEFAULT_ARTIFACT).manifest


def test_model_card_tells_what_every_study_of_the_committed_model_found() -> None:
    lines = model_card.trust(SKIN, MANIFEST).splitlines()
    assert len(lines) == len(STUDIES)
    assert not [line for line in lines if "Not measured" in line]
    (other,) = (line for line in lines if line.startswith("- **Other clinics:**"))
    flagged = MANIFEST["external"][0]["points"][0]["outcomes"]["gravest"]["flagged"]
    value, low, high = (round(100 * flagged[name]) for name in ("value", "low", "high"))
    assert f"ISIC 2017, locked part: of the melanomas, {value} % ({low} to {high} %, n = {flagged['n']})" in other


def test_every_source_is_told_by_its_gravest_class_at_its_first_threshold() -> None:
    outcomes = outcome_frame(MANIFEST["external"])
    text = elsewhere_wording.found(SKIN, pd.concat([outcomes, outcomes.assign(source="Another")]))
    assert text.count("of the melanomas") == 2 and "Another: of the melanomas" in text
    assert "sensitivity 95 %" in text and "sensitivity 90 %" not in text


@pytest.mark.parametrize("losses", [["lesion_loss", "map_loss"], ["lesion_loss"], ["map_loss"]])
def test_training_note_speaks_of_masks_where_there_were_losses_on_them(losses: list[str]) -> None:
    note = training_note(SKIN, pd.DataFrame(columns=["epoch", "loss", *losses]))
    assert "label smoothing and without the losses on the lesion masks; validation" in note


@pytest.mark.parametrize("task", [SKIN, RETINA])
def test_training_note_of_a_run_without_masks_has_none(task) -> None:  # type: ignore[no-untyped-def]
    note = training_note(task, pd.DataFrame(columns=["epoch", "loss"]))
    assert "its loss with label smoothing; validation" in note and "mask" not in note
