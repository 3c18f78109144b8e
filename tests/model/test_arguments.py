"""Command-line arguments that several stages share."""

from __future__ import annotations

import argparse

import pytest

from model.arguments import whole_number


def test_whole_number_from_its_minimum_on(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=whole_number(2))
    assert parser.parse_args(["--images", "2"]).images == 2
    for text, message in (("1", "at least 2, received 1"), ("many", "invalid whole number value: 'many'")):
        with pytest.raises(SystemExit):
            parser.parse_args(["--images", text])
        assert message in capsys.readouterr().err
