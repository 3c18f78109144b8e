"""Which images an artifact answers, chosen on those that were trained on and on those that were held back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from model.analysis.quality import Gate
from model.inference.artifact import QualityLimits
from model.training.export.scoring import Scored
from model.training.export.sections import OUT_OF_FOLD, TRAINING, elsewhere_part, part_of

# Of the held-out images of the dataset, and of other clinics, so many are answered.
GATE_ACCEPTANCE = 0.97
GATE_ACCEPTANCE_ELSEWHERE = 0.96
# So many held-out images of the dataset lie inside what the model knows; the rest of the answered ones at its edge.
INSIDE = 0.90


def choose_limits(training: Scored, held_out: Scored, gate: Gate, elsewhere: Scored | None = None) -> QualityLimits:
    """Limits of a usable image: just outside what the training images show; the gate accepts 97 % of the held-out ones,
    and 96 % of those of other clinics where there are some.

    Sharpness is limited at the training images' 0.1 % quantile. Brightness and contrast are limited at half of theirs
    (towards white, halfway to it): these limits are for black, white and empty pictures only.
    """
    sharpness, brightness, contrast = np.quantile(training.qualities, 0.001, axis=0)
    brightest = np.quantile(training.qualities[:, 1], 0.999)
    edge, furthest = np.quantile(gate.score(held_out.textures), [INSIDE, GATE_ACCEPTANCE])
    if elsewhere is not None:
        furthest = max(furthest, np.quantile(gate.score(elsewhere.textures), GATE_ACCEPTANCE_ELSEWHERE))
    return QualityLimits(
        min_sharpness=float(sharpness),
        min_brightness=float(brightness / 2),
        max_brightness=float((brightest + 255) / 2),
        min_contrast=float(contrast / 2),
        max_ood_score=float(furthest),
        edge_ood_score=float(edge),
    )


def quality_section(training: Scored, held_out: Scored, gate: Gate, elsewhere: Scored | None = None) -> dict[str, Any]:
    """Limits of a usable image; `held_out` is the first member's, whose texture the gate looks at."""
    return {
        "chosen_on": [
            part_of(training.rows, TRAINING),
            part_of(held_out.rows, OUT_OF_FOLD),
            *([] if elsewhere is None else [elsewhere_part(elsewhere.rows)]),
        ],
        "gate_acceptance": GATE_ACCEPTANCE,
        "inside": INSIDE,
        "limits": asdict(choose_limits(training, held_out, gate, elsewhere)),
    }
