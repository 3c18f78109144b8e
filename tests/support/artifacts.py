"""Artifacts in tests: without files, and copies of the committed one whose terms of age and site are made up.

What age and site move does not depend on what the committed model has learnt.
"""

from __future__ import annotations

import json
from pathlib import Path

from data.tasks.skin import SKIN
from model.inference.artifact import DEFAULT_ARTIFACT, MANIFEST_FILE, Artifact, QualityLimits, write_section
from model.inference.calibration import Calibration
from model.inference.clinical import AGE_KNOTS
from model.inference.conformal import ConformalSets
from model.server.bundle import copy_artifact


def artifact_with(calibration: Calibration) -> Artifact:
    """An artifact with this calibration, no files, and sets of every class with a probability of 0.049 or more."""
    sets = ConformalSets("class-conditional", 0.9, (0.049,) * 7)
    limits = QualityLimits(0, 0, 255, 0, 1)
    return Artifact(Path(), "made-up", "9.1", 192, 256, calibration, (), sets, 0.0, limits, "ab12", {}, SKIN)


def artifact_without_terms(folder: Path) -> Path:
    """A copy of the committed weights whose model takes no facts into account."""
    copy_artifact(DEFAULT_ARTIFACT, folder)
    path = folder / MANIFEST_FILE
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest.pop("clinical", None)
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def artifact_with_terms(folder: Path) -> Path:
    """A copy of the committed weights to which the back speaks for basal cell carcinoma and old age for melanoma."""
    artifact_without_terms(folder)
    nothing = [0.0] * len(SKIN.codes)
    terms = {"age": [nothing] * (len(AGE_KNOTS) - 1) + [_only("mel", 2.0)], "site": {"trunk": _only("bcc", 12.0)}}
    write_section(folder, "clinical", {"terms": terms})
    return folder


def _only(dx: str, term: float) -> list[float]:
    return [term if code == dx else 0.0 for code in SKIN.codes]
