"""The committed artifact says what its own predictions give, and measuring them again changes nothing else."""

from __future__ import annotations

import pytest

from model.inference.artifact import DEFAULT_ARTIFACT, load_artifact
from model.studies.remeasure import study


def test_committed_sections_are_what_the_predictions_give() -> None:
    artifact = load_artifact(DEFAULT_ARTIFACT)
    sections = study(artifact)
    for name in ("operating_points", "conformal", "out_of_fold_metrics", "metrics", "subgroups"):
        assert_same(sections.pop(name), artifact.manifest[name], name)
    assert not sections


def assert_same(measured: object, stored: object, where: str) -> None:
    """Compare plain numbers, text, lists and dicts; the committed predictions are rounded to a few decimals."""
    if isinstance(stored, dict):
        assert isinstance(measured, dict) and measured.keys() == stored.keys(), where
        for key, value in stored.items():
            assert_same(measured[key], value, f"{where}.{key}")
    elif isinstance(stored, list):
        assert isinstance(measured, list) and len(measured) == len(stored), where
        for number, value in enumerate(stored):
            assert_same(measured[number], value, f"{where}[{number}]")
    else:
        assert measured == (pytest.approx(stored, abs=1e-6) if isinstance(stored, float) else stored), where
