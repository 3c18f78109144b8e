"""How far to trust the model: every metric and study of the locked test lesions, with its interval."""

from __future__ import annotations

import streamlit as st

from dashboard.evaluation import trust, widgets, wording
from dashboard.shell import resources
from dashboard.shell.widgets import class_key, explained_errors


@st.fragment
def decisions() -> None:
    """ROC curves, confusion matrix and threshold; a fragment, so that the slider reruns nothing else."""
    with explained_errors():
        widgets.decision_cards(resources.evaluation())


with explained_errors():
    evaluation = resources.evaluation()
    widgets.header(evaluation)
    widgets.summary(evaluation)
    class_key(resources.artifact().task)
    decisions()

    widgets.per_class(evaluation)

    trust.calibration(evaluation)
    trust.prediction_sets()
    trust.clinical_facts()
    trust.subgroups()
    trust.robustness()
    trust.gate()
    trust.heatmaps()
    trust.similar_cases()

    st.header(wording.TRAINING_HEADING)
    widgets.training(resources.history())
