"""Four images on a plane, whose distances can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

COLUMNS = ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"]
# East, north, west, south of the mean (0, 0, 5); the third value says nothing.
EMBEDDINGS = np.array([[2, 0, 5], [0, 1, 5], [-2, 0, 5], [0, -1, 5]], dtype=np.float32)
# Its direction is (0.8, 0.6): cosines 0.8, 0.6, -0.8, -0.6 with the four.
QUERY = np.array([4, 3, 5], dtype=np.float32)


def rows_of(*lesions: tuple[str, str]) -> pd.DataFrame:
    """One row for each (lesion_id, dx), images numbered from I0."""
    rows = [(lesion_id, f"I{i}", dx, "histo", 10.0 * i, "female", "back") for i, (lesion_id, dx) in enumerate(lesions)]
    return pd.DataFrame(rows, columns=COLUMNS)


def four_directions() -> pd.DataFrame:
    """What is known of the four images of `EMBEDDINGS`."""
    return rows_of(("east", "nv"), ("north", "mel"), ("west", "nv"), ("south", "bcc"))
