"""A user of a running dashboard, over websocket and without a browser."""

from __future__ import annotations

from fixtures_server import sample

from dashboard.decision_wording import OWN_READ_HEADING
from dashboard.review_wording import INTENDED_USE_BUTTON
from dashboard.streamlit_session import StreamlitSession


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
