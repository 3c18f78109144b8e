"""Case logs with made-up cases for tests, and a way to make very many at once for measurements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from dashboard.resources import stores
from data.cases.case import (
    CERTAINTIES,
    LOCAL_ACTOR,
    PLANS,
    SEXES,
    SITES,
    Biopsy,
    Case,
    CaseDraft,
    Decision,
    Lesion,
    ModelResult,
    Patient,
    Read,
    Refusal,
    StoredImage,
)
from data.cases.log import CaseLog
from data.cases.storage import stored_image
from data.cases.tables import row_of, set_biopsy
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import Task
from model.analysis.analyzer import Analysis, Analyzer, ModelAnswer
from model.analysis.case_record import result_of
from model.explain.maps import explain
from model.images.decoding import decode_image
from model.inference.artifact import load_artifact
from model.inference.classifier import NetworkOutput, Prediction
from model.inference.runtimes import LiteRTClassifier
from tests.support.dashboard import environment

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "sample" / "synthetic_mel_1.jpg"
KEY = "0123456789abcdef0123456789abcdef"


@contextmanager
def case_log_of(folder: Path, monkeypatch: pytest.MonkeyPatch, **variables: Any) -> Iterator[None]:
    """Settings with an empty SQLite log and image folder below `folder`; further variables as given."""
    store: dict[str, Any] = {"DATABASE_URL": f"sqlite:///{folder / 'cases.sqlite3'}", "IMAGE_STORE": folder / "images"}
    with environment(monkeypatch, **store | {"CASE_KEY": KEY} | variables):
        yield


@cache
def analyzer() -> Analyzer:
    """The committed model."""
    return Analyzer(LiteRTClassifier(load_artifact(ROOT / "model" / "weights" / "skin")))


@cache
def sample_result(path: Path = SAMPLE) -> ModelResult:
    """What the committed model says of a synthetic sample, at its first operating point."""
    artifact = analyzer().artifact
    return result_of(analyzer().run(path.read_bytes()), artifact, artifact.operating_points[0])


@cache
def eye_analysis() -> Analysis:
    """A made-up answer of five grades of retinopathy, of a network that finds no lesion, on a synthetic sample."""
    seen, generator = analyzer().run(SAMPLE.read_bytes()), np.random.default_rng(0)
    maps, logits = generator.normal(size=(6, 8, 5)).astype(np.float32), np.zeros(5, dtype=np.float32)
    nothing = np.zeros(4, dtype=np.float32)
    prediction = Prediction(
        task=RETINA,
        probabilities=np.array([0.1, 0.2, 0.3, 0.15, 0.25]),
        dx="dr2",
        p_positive=0.7,
        conformal_set=("dr2", "dr3"),
        member_p_positive=np.array([0.7]),
        population="nobody",
        model_name="retina",
        model_version="0.1",
        weights_sha256="0" * 64,
    )
    return replace(
        seen,
        answer=ModelAnswer(prediction, explain(maps, RETINA.codes, seen.answered.explanation.framing, min_peak=0.5)),
        output=NetworkOutput(logits, logits[np.newaxis], nothing, nothing, maps),
    )


@cache
def eye_result() -> ModelResult:
    """The same as the log keeps it."""
    artifact = analyzer().artifact
    return result_of(eye_analysis(), artifact, artifact.operating_points[0])


def save_sample(path: Path = SAMPLE, **changes: Any) -> Case:
    """A synthetic sample in the log of the settings; `changes` go into its `CaseDraft`."""
    draft = replace(made_up_draft(), **{"result": sample_result(path)} | changes)
    return stores.case_log().save(draft, stored_image(decode_image(path.read_bytes())), LOCAL_ACTOR)


def made_up_draft(seed: int = 0, lesion_id: UUID | None = None, task: Task = SKIN) -> CaseDraft:
    """A case whose facts and answer are drawn; its evidence is empty, so that it can be listed and not opened."""
    generator = np.random.default_rng(seed)
    dx, own_dx = (str(one) for one in generator.choice(task.codes, 2))
    certainty, plan = str(generator.choice(CERTAINTIES)), str(generator.choice(PLANS))
    return CaseDraft(
        case_id=uuid4(),
        captured_name=f"lesion_{seed}.jpg",
        patient=Patient(f"patient {seed // 3}", float(generator.integers(20, 90)), str(generator.choice(SEXES))),
        lesion=Lesion(lesion_id or uuid4(), str(generator.choice(SITES)), "left", f"note of case {seed}"),
        result=made_up_result(generator.dirichlet(np.ones(len(task.codes))), task),
        own_read=Read(own_dx, certainty, plan),
        decision=Decision(dx, plan, "seen twice"),
    )


def made_up_result(probabilities: Sequence[float] | np.ndarray, task: Task = SKIN) -> ModelResult:
    """An answer with these probabilities, one a class."""
    p_positive = float(sum(probabilities[index] for index in task.positives))
    prediction = task.codes[int(np.argmax(probabilities))]
    return ModelResult(
        task=task,
        model_name="made-up",
        model_version="0.1",
        artifact_sha256="0" * 64,
        preprocessing_version="1",
        probabilities=tuple(float(value) for value in probabilities),
        population="nobody",
        prediction=prediction,
        p_positive=p_positive,
        conformal_set=(prediction,),
        conformal_level=0.9,
        member_p_positive=(p_positive, p_positive),
        quality="ok",
        ood_score=1.0,
        operating_point="sensitivity_95",
        threshold=0.25,
        sensitivity=0.95,
        specificity=0.8,
        heatmap_method="Grad-CAM",
        evidence=b"",
        runtime_ms=5.0,
    )


def made_up_refusal(reason: str = "out_of_distribution", task: Task = SKIN) -> Refusal:
    """Of the same model as `made_up_result`."""
    return Refusal(
        task=task,
        model_name="made-up",
        model_version="0.1",
        artifact_sha256="0" * 64,
        preprocessing_version="1",
        reason=reason,
        quality=f"{reason}|blurred",
        ood_score=7.5,
        runtime_ms=5.0,
    )


def made_up_image(seed: int = 0) -> StoredImage:
    """A small image of noise."""
    return stored_image(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8))


def fill(log: CaseLog, count: int, evidence: bytes = b"") -> None:
    """Put made-up cases into a log in one transaction, an hour apart, without images and without audit entries.

    For measurements: 10,000 cases through `save` would take minutes of waiting for the disk.
    """
    image, now = made_up_image(), datetime.now(UTC)
    with log._database.writing() as session:
        for seed in range(count):
            draft = made_up_draft(seed)
            draft = replace(draft, result=replace(draft.result, evidence=evidence))
            row = row_of(draft, image, f"{uuid4()}.png", LOCAL_ACTOR, log._keys)
            row.saved_at = now - timedelta(hours=seed)
            if seed % 10 == 0:
                set_biopsy(row, Biopsy("mel", now.date()))
            session.add(row)
