"""Work spread over processes comes back in order, whether it runs in this process or in others."""

from __future__ import annotations

import operator

import pytest

from model.inference.processes import mapped


@pytest.mark.parametrize("processes", [1, 2])
def test_answers_come_in_the_order_of_their_arguments(processes: int) -> None:
    answers = mapped(operator.sub, [10, 20, 30], [1, 2, 3], processes=processes, description="subtracting")
    assert list(answers) == [9, 18, 27]


@pytest.mark.parametrize("processes", [1, 2])
def test_error_of_one_item_is_raised_here(processes: int) -> None:
    with pytest.raises(ZeroDivisionError):
        list(mapped(operator.truediv, [1, 1], [1, 0], processes=processes, description="dividing"))
