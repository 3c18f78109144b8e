"""Fields that take their choices from the task."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from data.cases.case import PLANS, SIDES
from data.tasks.known import TASKS
from data.tasks.task import Task


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_what_a_task_offers_is_what_a_case_may_say(task: Task) -> None:
    assert set(task.sides) <= set(SIDES) and "unknown" in task.sides
    assert set(task.plans) <= set(PLANS) and set(task.awaited) <= set(task.plans)


@pytest.mark.parametrize(
    ("start", "offered"), [("left", ["left", "right", "unknown"]), ("midline", ["left", "right", "unknown", "midline"])]
)
def test_an_eye_is_left_or_right_unless_a_case_says_otherwise(start: str, offered: list[str]) -> None:
    def form(start: str) -> None:
        from dashboard.answer.fields import Form, side_field
        from data.tasks.retina import RETINA

        side_field(Form("test_{}".format, is_live=False), RETINA, start)

    [box] = AppTest.from_function(form, args=(start,)).run().selectbox
    assert box.options == offered and box.value == start
