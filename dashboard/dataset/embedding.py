"""The training images as points: the first two principal components of their embeddings, which the artifact holds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from data.datasets.ham10000 import METADATA_COLUMNS
from model.explain.neighbours import NeighbourIndex

# So many dots a browser draws at once without a pause.
MOST_DRAWN = 1500
SEED = 0


def index_rows(index: NeighbourIndex) -> pd.DataFrame:
    """One row a training image: x and y in [-1, 1], and the columns of the dataset's metadata."""
    facts = {column: getattr(index, column) for column in METADATA_COLUMNS}
    second = index.vectors[:, 1] if index.vectors.shape[1] > 1 else np.zeros(len(index.vectors))
    points = {"x": index.vectors[:, 0].astype(float), "y": second.astype(float)}
    return pd.DataFrame(points | facts).astype({"age": float})


def drawn_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """At most `MOST_DRAWN` of the rows, the same ones at every call, in their order."""
    return rows if len(rows) <= MOST_DRAWN else rows.sample(MOST_DRAWN, random_state=SEED).sort_index()
