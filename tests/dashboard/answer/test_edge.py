"""What is said of an image at the edge of what the model knows."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from dashboard.answer.wording import edge_found, warnings
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from model.analysis.quality import Quality
from model.images.framing import frame
from model.inference.measured import Called, EdgeResult, MeasuredRate

WHOLE = frame(450, 600, 192, 256)
AT_EDGE = Quality(9.0, 100.0, 50.0, 1.8, ("at_the_edge",))
ADVICE = "The image is unlike most of those the model was trained on. Fill the frame with one lesion."
INSIDE = Called(MeasuredRate(0.97, 0.95, 0.99, 300), MeasuredRate(0.66, 0.63, 0.69, 1100))
EDGE = Called(MeasuredRate(0.9, 0.8, 0.96, 60), MeasuredRate(0.45, 0.36, 0.54, 120))


def test_remark_says_how_such_images_were_judged() -> None:
    (remark,) = warnings(AT_EDGE, WHOLE, SKIN, EdgeResult("sensitivity_95", 0.1, INSIDE, EDGE))
    assert remark == (
        f"{ADVICE} Images like this were judged less surely: at the usual threshold 90 of 100 malignant ones (95 % "
        "interval 80 to 96, n = 60) and 55 of 100 benign ones (95 % interval 46 to 64, n = 120) were flagged, against "
        "97 and 34 of 100 of the others."
    )


def test_more_found_because_nearly_all_are_flagged_is_still_less_sure() -> None:
    flags_all = Called(MeasuredRate(0.99, 0.9, 1.0, 60), MeasuredRate(0.1, 0.05, 0.2, 120))
    assert "were judged less surely" in edge_found(SKIN, EdgeResult("", 0.1, INSIDE, flags_all))


def test_as_surely_is_said_only_where_the_interval_leaves_no_room_for_a_loss() -> None:
    many = Called(MeasuredRate(0.96, 0.93, 0.98, 400), MeasuredRate(0.65, 0.6, 0.7, 500))
    few = Called(MeasuredRate(0.97, 0.8, 1.0, 20), MeasuredRate(0.66, 0.5, 0.8, 30))
    assert "Images like this were judged as surely as others: at" in edge_found(SKIN, EdgeResult("", 0.1, INSIDE, many))
    told = edge_found(SKIN, EdgeResult("", 0.1, INSIDE, few))
    assert "Images like this may be judged less surely (too few were measured to tell): at the usual threshold" in told
    # Better in the measured images, and still too few of them.
    better = Called(MeasuredRate(0.99, 0.82, 1.0, 20), MeasuredRate(0.7, 0.5, 0.8, 30))
    assert "may be judged less surely" in edge_found(SKIN, EdgeResult("", 0.1, INSIDE, better))


def test_nothing_is_claimed_that_was_not_measured() -> None:
    nothing = MeasuredRate(math.nan, math.nan, math.nan, 0)
    unmeasured = EdgeResult("", 0.1, INSIDE, Called(nothing, EDGE.specificity))
    assert warnings(AT_EDGE, WHOLE, SKIN, None) == [ADVICE]
    assert warnings(AT_EDGE, WHOLE, SKIN, unmeasured) == [
        f"{ADVICE} Images like this were too few to measure how surely they are judged."
    ]


@pytest.mark.parametrize("issues", [(), ("blurred",)])
def test_other_images_get_no_such_remark(issues: tuple[str, ...]) -> None:
    quality = Quality(9.0, 100.0, 50.0, 1.0, issues)  # type: ignore[arg-type]
    remarks = warnings(quality, WHOLE, SKIN, EdgeResult("", 0.1, INSIDE, EDGE))
    assert all("judged" not in remark for remark in remarks)
    assert len(remarks) == len(issues)


def test_what_is_left_out_beside_a_field_on_purpose_is_no_reason_to_warn() -> None:
    quality = Quality(9.0, 100.0, 50.0, 0.5, ())
    wide = frame(450, 750, 192, 256)
    assert wide.seen_share < 0.99
    assert "keep the eye in the middle" in warnings(quality, wide, RETINA, None)[0]
    assert warnings(quality, replace(wide, is_of_field=True), RETINA, None) == []
