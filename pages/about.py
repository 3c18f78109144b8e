"""What LesionLens is for, how well its model does, and what nobody has tested."""

from __future__ import annotations

import streamlit as st

from dashboard.evaluation.model_card import model_card
from dashboard.resources import models

st.title("About")
model_card(models.artifact())
