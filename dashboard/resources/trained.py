"""How models were trained: the served one's history, the others of its kind, and what a training costs."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.resources import models
from model.evaluation.model_table import ModelRow, ReportedFigure, read_reported, read_table, row_of_artifact
from model.evaluation.training_costs import TrainingCost, read_costs


def history() -> pd.DataFrame:
    """The training history of the artifact, one row an epoch."""
    return _history(models.model_folder())


@st.cache_resource(max_entries=models.MOST_MODELS, show_spinner=False)
def _history(folder: str) -> pd.DataFrame:
    return pd.read_csv(models.artifact_in(folder).history_path)


@st.cache_resource(max_entries=1, show_spinner=False)
def trained_models() -> tuple[ModelRow, ...]:
    """The models that were trained here beside the served one; raises `ResultsError`."""
    return read_table()


@st.cache_resource(max_entries=1, show_spinner=False)
def reported_figures() -> tuple[ReportedFigure, ...]:
    """What others report of models like them; raises `ResultsError`."""
    return read_reported()


def served_row() -> ModelRow:
    """The model of this session as a row beside them."""
    return row_of_artifact(models.artifact(), history()["seconds"].sum() / 60)


@st.cache_resource(max_entries=1, show_spinner=False)
def training_costs() -> tuple[TrainingCost, ...]:
    """What trainings cost on which machine; raises `ResultsError`."""
    return read_costs()
