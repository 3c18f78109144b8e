"""A made-up case and its analysis, for tests of what is printed and exported."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import numpy as np

from data.cases.case import Biopsy, Case, Decision, Lesion, ModelResult, Patient, Read
from data.tasks.skin import SKIN
from model.analysis.analyzer import Analysis, ModelAnswer
from model.analysis.case_record import recorded_prediction
from model.analysis.quality import Quality
from model.explain.maps import explain
from model.images.framing import frame
from model.inference.classifier import NetworkOutput

PROBABILITIES = (0.02, 0.03, 0.05, 0.004, 0.296, 0.6, 0.0)
THRESHOLD = 0.25


def made_up_result(**changes: Any) -> ModelResult:
    """Flagged: p(malignant) is 0.346, mostly melanoma; the prediction is a nevus."""
    result = ModelResult(
        task=SKIN,
        model_name="made-up",
        model_version="0.1",
        artifact_sha256="a1" * 32,
        preprocessing_version="1",
        probabilities=PROBABILITIES,
        population="a made-up clinic",
        prediction="nv",
        p_positive=0.346,
        conformal_set=("nv", "mel"),
        conformal_level=0.9,
        member_p_positive=(0.3, 0.4),
        quality="ok",
        ood_score=1.25,
        operating_point="sensitivity_95",
        threshold=THRESHOLD,
        sensitivity=0.95,
        specificity=0.79,
        heatmap_method="Grad-CAM",
        evidence=b"",
        runtime_ms=12.0,
    )
    return replace(result, **changes)


def made_up_case(**changes: Any) -> Case:
    """A case in which the reader changed their mind; `changes` replace its fields."""
    case = Case(
        case_id=UUID("0f8fad5b-d9cb-469f-a165-70867728950e"),
        saved_at=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
        saved_by="reader@clinic.example",
        organisation="Made-up clinic",
        captured_name="Doe_Jane_0001.jpg",
        patient=Patient("MRN-4711", 52.0, "female"),
        lesion=Lesion(UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7"), "back", "left", "New since spring."),
        image_key="0f8fad5b-d9cb-469f-a165-70867728950e.png",
        image_sha256="b2" * 32,
        image_width=120,
        image_height=90,
        result=made_up_result(),
        own_read=Read("nv", "fairly sure", "follow-up"),
        decision=Decision("mel", "excision", "Asymmetric network."),
        biopsy=Biopsy("mel", date(2026, 3, 20), "Breslow 0.4 mm."),
    )
    return replace(case, **changes)


def made_up_analysis(case: Case, evidence: float = 5.0) -> Analysis:
    """An analysis of a grey image of the case's size; every class's map has its one peak, `evidence`, in a corner."""
    height, width = case.image_height, case.image_width
    maps = np.zeros((6, 8, len(case.task.codes)), dtype=np.float32)
    maps[0, 0] = evidence
    explanation = explain(maps, case.task.codes, frame(height, width, 192, 256), min_peak=1.0)
    nothing = np.zeros(0, dtype=np.float32)
    return Analysis(
        image=np.full((height, width, 3), 160, dtype=np.uint8),
        original_size=(width, height),
        image_sha256=case.image_sha256,
        network_input=np.full((192, 256, 3), 160, dtype=np.uint8),
        quality=Quality(9.0, 160.0, 20.0, case.result.ood_score, ()),
        output=NetworkOutput(nothing, nothing[np.newaxis], nothing, nothing, maps, None),
        answer=ModelAnswer(recorded_prediction(case.result), explanation),
        runtime_ms=case.result.runtime_ms,
    )
