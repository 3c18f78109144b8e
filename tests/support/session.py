"""A user of a running dashboard, over websocket and without a browser."""

from __future__ import annotations

from uuid import UUID

from dashboard.answer.patient import choice
from dashboard.bench_load import unlike_any
from dashboard.review.decision_wording import CERTAINTY_LABEL, OWN_READ_HEADING, SAVE, SHOW_ANSWER
from dashboard.review.wording import INTENDED_USE_BUTTON
from dashboard.serving.streamlit_session import SessionFailed, StreamlitSession
from data.cases.case import Read
from data.tasks.skin import SKIN
from tests.support.server import sample

READ = Read("nv", "unsure", "follow-up")


async def reaches_own_read(address: str, patience: float) -> bool:
    """Whether a user gets as far as the own read of an uploaded image; `patience` in seconds."""
    session = StreamlitSession(address, patience)
    await session.open()
    try:
        await session.click(INTENDED_USE_BUTTON)
        await session.upload("Dermoscopic images", "lesion.jpg", sample())
        return session.shows(OWN_READ_HEADING)
    finally:
        await session.close()


async def answered_session(address: str, patience: float, name: str) -> StreamlitSession:
    """A user who has given `READ` of an uploaded image of this name and sees its answer; `patience` in seconds."""
    session = StreamlitSession(address, patience)
    try:
        await session.open()
        await session.click(INTENDED_USE_BUTTON)
        await session.upload("Dermoscopic images", name, unlike_any(sample()))
        await session.choose("Diagnosis", SKIN.titled(READ.dx))
        await session.choose(CERTAINTY_LABEL, choice(READ.certainty))
        await session.choose("Plan", choice(READ.plan))
        await session.click(SHOW_ANSWER)
    except BaseException:
        await session.close()
        raise
    return session


async def save(session: StreamlitSession) -> UUID:
    """Save the image of an `answered_session` as a case; the id, which only a saved case shows; else SessionFailed."""
    await session.click(SAVE)
    case_id = session.found("case=([0-9a-f-]{36})")
    if case_id is None:
        raise SessionFailed("expected the case that was saved, the page shows none")
    return UUID(case_id)
