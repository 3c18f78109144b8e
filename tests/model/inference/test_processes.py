"""Work spread over processes comes back in order, whether it runs in this process or in others."""

from __future__ import annotations

import operator
import os

import pytest

from model.inference.processes import images_at_a_time, mapped


def process_of(_: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("processes", [1, 2])
def test_answers_come_in_the_order_of_their_arguments(processes: int) -> None:
    answers = mapped(operator.sub, [10, 20, 30], [1, 2, 3], processes=processes, description="subtracting")
    assert list(answers) == [9, 18, 27]


@pytest.mark.parametrize("processes", [1, 2])
def test_error_of_one_item_is_raised_here(processes: int) -> None:
    with pytest.raises(ZeroDivisionError):
        list(mapped(operator.truediv, [1, 1], [1, 0], processes=processes, description="dividing"))


def test_a_process_is_given_several_images_at_a_time() -> None:
    processes = list(mapped(process_of, range(64), processes=2, description="asking"))
    assert os.getpid() not in processes
    assert all(len(set(processes[start : start + 8])) == 1 for start in range(0, 64, 8))


@pytest.mark.parametrize(
    ("images", "processes", "expected"), [(0, 2, 1), (3, 2, 1), (32, 2, 4), (200, 2, 8), (64, 4, 4)]
)
def test_few_images_are_shared_by_all_processes(images: int, processes: int, expected: int) -> None:
    assert images_at_a_time(images, processes) == expected
