"""The map of the training images: which are drawn, and where."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboard.dataset.charts import embedding_dots
from dashboard.dataset.embedding import MOST_DRAWN, drawn_rows, index_rows
from data.datasets.cohort import CohortFilter, filter_rows
from data.tasks.skin import SKIN
from model.explain.neighbours import fit_index
from tests.support.tiny_dataset import EMBEDDINGS, four_directions


def test_points_are_the_first_two_components_and_can_be_filtered() -> None:
    index = fit_index(EMBEDDINGS, four_directions(), 2, SKIN.codes)
    rows = index_rows(index)
    np.testing.assert_allclose(np.abs(rows[["x", "y"]]), [[1, 0], [0, 1], [1, 0], [0, 1]], atol=1e-3)
    assert list(filter_rows(rows, CohortFilter(min_age=20))["image_id"]) == ["I2", "I3"]
    flat = index_rows(fit_index(EMBEDDINGS, four_directions(), 1, SKIN.codes))
    assert not flat["y"].any()


def test_each_image_is_a_dot_of_its_class() -> None:
    rows = index_rows(fit_index(EMBEDDINGS, four_directions(), 2, SKIN.codes))
    dots = embedding_dots(SKIN, rows).data
    assert [one.name for one in dots] == list(SKIN.codes)
    assert {one.name: [row[0] for row in one.customdata] for one in dots if len(one.x)} == {
        dx: list(part["image_id"]) for dx, part in rows.groupby("dx")
    }


def test_many_images_are_sampled_the_same_way_each_time() -> None:
    many = pd.DataFrame({"x": range(MOST_DRAWN + 500)})
    drawn = drawn_rows(many)
    assert len(drawn) == MOST_DRAWN and drawn.index.is_monotonic_increasing and drawn.equals(drawn_rows(many))
    assert drawn_rows(many.iloc[:7]).equals(many.iloc[:7])
