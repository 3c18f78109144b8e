"""Who may do what with a case, and what may be written into one."""

from __future__ import annotations

from dataclasses import replace

from data.cases.case import Actor, Case, CaseDraft, ModelResult, Refusal, check_draft

MAX_NAME = 255  # characters kept of a file name
CLINICAL_ROLES = ("clinician", "admin")  # may see patients


class NotAllowed(Exception):
    """The actor's role does not allow this."""


def check_clinical(actor: Actor) -> None:
    """Raises `NotAllowed` for a role that may not see patients."""
    if actor.role not in CLINICAL_ROLES:
        raise not_allowed(actor)


def check_admin(actor: Actor) -> None:
    """Raises `NotAllowed` for any role but admin."""
    if actor.role != "admin":
        raise not_allowed(actor)


def not_allowed(actor: Actor) -> NotAllowed:
    """The error to raise for an actor."""
    return NotAllowed(
        f"expected a role that may do this, received {actor.role!r}; ask an administrator for another role"
    )


def checked_draft(draft: CaseDraft) -> CaseDraft:
    """The draft as it can be kept: its file name is shortened, all else is as given.

    Raises:
        ValueError: an unknown word, a text that is too long or cannot be kept, or a probability that is none.
    """
    check_draft(draft)
    own = "" if draft.own_read is None else draft.own_read.other
    check_texts(draft.patient.reference, draft.lesion.note, draft.decision.reason, draft.decision.other, own)
    if isinstance(draft.result, Refusal):
        _check_refusal(draft.result)
    else:
        _check_answer(draft.result)
    # A file name is the browser's, not typed: what cannot be kept of it must not keep the case from being saved.
    name = draft.captured_name.encode(errors="replace").decode().replace("\0", "?")
    return replace(draft, captured_name=name[:MAX_NAME])


def _check_answer(result: ModelResult) -> None:
    numbers = (*result.probabilities, *result.member_p_positive, result.p_positive, result.threshold)
    expected = len(result.task.codes)
    if len(result.probabilities) != expected or not all(0 <= number <= 1 for number in numbers):
        raise ValueError(f"expected {expected} probabilities in [0, 1], received {result.probabilities}")


def _check_refusal(refusal: Refusal) -> None:
    if not refusal.reason or refusal.reason not in refusal.quality.split("|"):
        raise ValueError(f"expected a reason among the remarks {refusal.quality!r}, received {refusal.reason!r}")


def check_texts(*texts: str) -> None:
    """Raises ValueError for what PostgreSQL (NUL) or any database (half a surrogate pair) cannot keep or compare."""
    for text in texts:
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError("expected text of whole characters, received NUL or half a pair; type it again")


def de_identified(case: Case) -> Case:
    """The case without anything that names a person or was typed freely."""
    own = case.own_read
    return replace(
        case,
        saved_by="",
        captured_name="",
        patient=replace(case.patient, reference=""),
        lesion=replace(case.lesion, note=""),
        own_read=own and replace(own, other=""),
        decision=replace(case.decision, reason="", other=""),
        biopsy=case.biopsy and replace(case.biopsy, note="", other=""),
    )
