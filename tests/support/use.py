"""Made-up cases for what is learnt from use: only what is measured differs, all else is filled in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

from data.cases.case import Biopsy, Case, Decision, Lesion, Patient, Read
from data.tasks.skin import SKIN
from data.tasks.task import OTHER
from tests.support.case_log import made_up_result

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def made_up_case(
    prediction: str = "nv",
    own: str | None = "nv",
    decision: str = "nv",
    biopsy: str | None = None,
    lesion_id: UUID | None = None,
    saved_at: datetime = NOON,
    p_prediction: float = 0.9,
    **result: object,
) -> Case:
    """A case; the six other classes share what the prediction's probability leaves.

    Args:
        prediction, own, decision, biopsy: dx codes.
        lesion_id: a lesion of its own where None.
        result: fields of its `ModelResult` to replace.
    """
    probabilities = [p_prediction if dx == prediction else (1 - p_prediction) / 6 for dx in SKIN.codes]
    return Case(
        case_id=uuid4(),
        saved_at=saved_at,
        saved_by="anna@clinic.org",
        organisation="Clinic",
        captured_name="IMG_1.jpg",
        patient=Patient("patient 7", 47.0, "female"),
        lesion=Lesion(lesion_id or uuid4(), "back", "left", "a note"),
        image_key="key.png",
        image_sha256="0" * 64,
        image_width=64,
        image_height=64,
        result=replace(made_up_result(probabilities), **result),  # type: ignore[arg-type]
        own_read=None if own is None else Read(own, "sure", "biopsy", other=_other(own)),
        decision=Decision(decision, "biopsy", other=_other(decision)),
        biopsy=None if biopsy is None else Biopsy(biopsy, date(2026, 6, 2), other=_other(biopsy)),
    )


def _other(dx: str) -> str:
    return "Merkel cell carcinoma" if dx == OTHER else ""
