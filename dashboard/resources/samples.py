"""The synthetic samples that come along."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.resources import models
from dashboard.resources.pictures import small_jpeg
from dashboard.settings import ROOT
from model.images.decoding import decode_image

SAMPLE_FOLDER = ROOT / "data" / "sample"


def of_task() -> pd.DataFrame:
    """The synthetic samples of the task, one of each drawn class (file, intended_dx, seed, description); maybe none."""
    drawn = _samples()
    return drawn[drawn["intended_dx"].isin(models.task().codes)]


@st.cache_resource(max_entries=1, show_spinner=False)
def _samples() -> pd.DataFrame:
    return pd.read_csv(SAMPLE_FOLDER / "samples.csv").drop_duplicates("intended_dx")


def content(file: str) -> bytes:
    """The bytes of a synthetic sample."""
    return (SAMPLE_FOLDER / file).read_bytes()


@st.cache_resource(max_entries=16, show_spinner=False)
def thumbnail(file: str) -> bytes:
    """A small JPEG of a synthetic sample."""
    return small_jpeg(decode_image(content(file)))
