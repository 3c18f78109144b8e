"""Types of command-line arguments that several stages share."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def whole_number(minimum: int) -> Callable[[str], int]:
    """An argparse type: a whole number of at least `minimum`."""

    def parse(text: str) -> int:
        number = int(text)
        if number < minimum:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {minimum}, received {number}")
        return number

    # argparse names the type in its message for text that is no number.
    parse.__name__ = "whole number"
    return parse
