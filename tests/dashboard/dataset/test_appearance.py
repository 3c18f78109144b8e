"""What was measured of a cohort's images, and their colours, worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboard.dataset import charts
from dashboard.dataset.appearance import PARTS, coloured_parts, middles, strips, strips_frame
from data.datasets.appearance import FACTS, MEASURED, MEASURED_WHOLE
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN


def rows(*images: tuple[str, float, int]) -> pd.DataFrame:
    """Images of a diagnosis, an area and a grey lesion in skin twice as light."""
    return pd.DataFrame(
        [
            (f"ISIC_{i}", dx, "back", "female", "histo", 50.0, area, *[float(grey)] * 3, *[2.0 * grey] * 3)
            for i, (dx, area, grey) in enumerate(images)
        ],
        columns=[*FACTS, *MEASURED],
    )


def test_middles_are_quartiles_of_each_class_with_images_in_order() -> None:
    table = middles(SKIN, rows(("nv", 0.2, 9), ("mel", 0.1, 9), ("mel", 0.2, 9), ("mel", 0.4, 9)), "area")
    assert list(table.index) == ["mel", "nv"] and table["images"].to_list() == [3, 1]
    np.testing.assert_allclose(table.loc["mel", ["low", "median", "high"]].to_list(), [0.15, 0.2, 0.3])
    dots = charts.middle_dots(SKIN, table, "share", ".0%").data[0]
    np.testing.assert_allclose(dots.x, [0.2, 0.2])
    np.testing.assert_allclose([dots.error_x.arrayminus[0], dots.error_x.array[0]], [0.05, 0.1])


def test_strips_go_from_the_darkest_lesions_to_the_lightest() -> None:
    found = strips(SKIN, rows(*[("nv", 0.2, grey) for grey in (60, 10, 50, 20, 40, 30, 80, 70, 100, 90)]))
    (strip,) = found
    lesion, around = strip.fields
    assert (strip.dx, strip.images, len(lesion)) == ("nv", 10, PARTS)
    assert [red for red, _, _ in lesion] == [15, 35, 55, 75, 95]
    assert [red for red, _, _ in around] == [30, 70, 110, 150, 190]
    frame = strips_frame(found, coloured_parts(rows(("nv", 0.2, 9))))
    assert frame["part"].to_list() == [1, 2, 3, 4, 5]
    assert frame["lesion_red"].to_list() == [15, 35, 55, 75, 95] and frame["around_blue"].iloc[0] == 30


def test_few_images_and_those_without_a_colour() -> None:
    table = rows(("bcc", 0.2, 40), ("bcc", 0.0, 40))
    table.loc[1, "lesion_red"] = np.nan
    (strip,) = strips(SKIN, table)
    assert strip.images == 1 and strip.fields[0] == ((40, 40, 40),)
    assert strips(SKIN, table[:0]) == [] and middles(SKIN, table[:0], "area").empty


def test_images_without_masks_have_one_strip_of_their_own_colour() -> None:
    measured = (80.0, 5.0, 0.8, 9.0, 100.0, 60.0, 20.0)
    table = pd.DataFrame(
        [("a", "dr2", "unknown", "unknown", "unknown", np.nan, *measured)], columns=[*FACTS, *MEASURED_WHOLE]
    )
    (strip,) = strips(RETINA, table)
    assert strip.fields == (((100, 60, 20),),)
    assert list(strips_frame([strip], coloured_parts(table)).columns[3:]) == list(MEASURED_WHOLE[-3:])
    dots = charts.middle_dots(RETINA, middles(RETINA, table, "brightness"), "grey level", ".0f")
    assert dots.layout.xaxis.range[1] > 80 and dots.data[0].x[0] == 80
