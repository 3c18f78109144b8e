"""What LesionLens is for, how well its model does, and what nobody has tested."""

import streamlit as st

from dashboard import resources
from dashboard.model_card import model_card

st.title("About")
model_card(resources.artifact())
