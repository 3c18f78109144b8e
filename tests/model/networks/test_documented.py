"""The architecture's chapter on backbones names every entry of the table."""

from __future__ import annotations

from pathlib import Path

import pytest

ARCHITECTURE = Path(__file__).resolve().parents[3] / "docs" / "architecture.md"

pytestmark = pytest.mark.tensorflow


def test_every_backbone_is_in_the_architecture() -> None:
    from model.networks.backbones import BACKBONES

    text = ARCHITECTURE.read_text(encoding="utf-8")
    assert [name for name in BACKBONES if f"`{name}`" not in text] == []
