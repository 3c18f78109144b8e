"""What is read off a model's own curve, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data.tasks.skin import SKIN
from model.evaluation.operating_points import read_off
from model.evaluation.report import read_off_table

# Fifty melanomas with a probability of 0.02, 0.04 ... 1.00; 94 of 100 are at 0.08 or more, which is 47 of 50.
MELANOMAS = np.arange(1, 51) / 50
# Of the nevi without a biopsy one of four is at the threshold or above, of those with one half.
NEVI = (
    ("follow_up", 0.01),
    ("follow_up", 0.03),
    ("follow_up", 0.05),
    ("follow_up", 0.08),
    ("histo", 0.07),
    ("histo", 0.9),
)


def predictions(melanomas: np.ndarray, dx_type: str = "histo") -> pd.DataFrame:
    rows = [("mel", dx_type, p) for p in melanomas] + [("nv", kind, p) for kind, p in NEVI]
    table = pd.DataFrame(rows, columns=["dx", "dx_type", "mel"])
    table = table.assign(**{code: 0.0 for code in SKIN.codes if code not in ("mel", "nv")}, nv=1 - table["mel"])
    ids = [f"I{number}" for number in range(len(table))]
    return table.assign(image_id=ids, lesion_id=ids, age=50.0, sex="female", localization="back", prediction="nv")


def test_specificity_is_read_off_where_94_of_100_are_flagged() -> None:
    point = read_off(predictions(MELANOMAS), SKIN)
    assert point is not None
    assert point.threshold == pytest.approx(0.08)
    assert (point.specificity.n, point.confirmed.n) == (6, 2)
    assert point.specificity.value == pytest.approx(4 / 6)
    assert point.confirmed.value == pytest.approx(1 / 2)
    assert point.specificity.low < 4 / 6 < point.specificity.high
    lines = read_off_table(point, SKIN).splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == ["benign, all", "benign, confirmed by histopathology"]
    assert "0.0800" in lines[1] and "0.667 (" in lines[1] and "0.500 (" in lines[2]


def test_nothing_is_read_off_without_a_malignant_image() -> None:
    assert read_off(predictions(MELANOMAS[:0]), SKIN) is None
    assert read_off_table(None, SKIN) == "Where sensitivity is 0.94 on these images: no malignant images"


def test_without_confirmed_ones_there_is_one_row() -> None:
    table = predictions(MELANOMAS)
    point = read_off(table[table["dx"].eq("mel") | table["dx_type"].ne("histo")], SKIN)
    assert point is not None and point.confirmed.n == 0 and np.isnan(point.confirmed.value)
    assert len(read_off_table(point, SKIN).splitlines()) == 2


def test_images_that_no_biopsy_confirmed_have_one_row_as_well() -> None:
    table = predictions(MELANOMAS, "consensus")
    point = read_off(table[table["dx_type"].ne("histo")], SKIN)
    assert point is not None and (point.specificity.n, point.confirmed.n) == (4, 0)
    assert len(read_off_table(point, SKIN).splitlines()) == 2
