"""Artifacts in tests: without files, and copies of the committed one whose terms of age and site are made up; and what
an artifact says of a made-up clinic's images, whose true probabilities are known.

What age and site move does not depend on what the committed model has learnt.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from data.tasks.skin import SKIN
from model.images.framing import Preparation
from model.inference.artifact import DEFAULT_ARTIFACT, MANIFEST_FILE, Artifact, QualityLimits, write_section
from model.inference.calibration import Calibration
from model.inference.clinical import AGE_KNOTS
from model.inference.conformal import ConformalSets
from model.measures.metrics import softmax
from model.server.bundle import copy_artifact
from model.studies.clinics.labelled import Labelled


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


def artifact_that_prepares(folder: Path, preparation: Preparation) -> Path:
    """A copy of the committed weights that has images prepared, and refuses none for being unlike what it knows."""
    copy_artifact(DEFAULT_ARTIFACT, folder)
    stated = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    write_section(folder, "input", {**stated["input"], **asdict(preparation)})
    limits = {**stated["quality"]["limits"], "max_ood_score": 1e9, "edge_ood_score": 1e9}
    write_section(folder, "quality", {**stated["quality"], "limits": limits})
    return folder


def _only(dx: str, term: float) -> list[float]:
    return [term if code == dx else 0.0 for code in SKIN.codes]


def made_up_clinic(
    artifact: Artifact, lesions: int, too_sure: float = 1.0, malignant: float | None = None, seed: int = 1
) -> Labelled:
    """One answered image a lesion, and probabilities of an artifact that are right but for what is asked for.

    Each class raises its own logit by 2 over noise of variance 1, so that softmax(log share + 2 x logit) is the chance
    of each class.

    Args:
        artifact: whose class shares the stated probabilities suppose.
        lesions: how many.
        too_sure: factor on the logarithms of the stated probabilities; at 1 they are right.
        malignant: share of malignant lesions at the clinic in place of the artifact's.
        seed: of the draw.
    """
    generator, task = np.random.default_rng(seed), artifact.task
    supposed = np.asarray(artifact.calibration.prior)
    shares = supposed.copy()
    if malignant is not None:
        is_positive = np.isin(np.arange(len(shares)), task.positives)
        for side, share in ((is_positive, malignant), (~is_positive, 1 - malignant)):
            shares[side] *= share / shares[side].sum()
    dx_true = generator.choice(len(shares), size=lesions, p=shares)
    evidence = generator.normal(size=(lesions, len(shares)))
    evidence[np.arange(lesions), dx_true] += 2
    stated = softmax(too_sure * (np.log(supposed) + 2 * evidence))
    names = np.array([f"CLINIC_{number:04d}" for number in range(lesions)])
    return Labelled(names, names, dx_true.astype(np.int64), np.full(lesions, ""), stated)
