"""Where saved and unsaved work lies: the case log, the store of images, drafts."""

from __future__ import annotations

import time
from collections import deque

import streamlit as st

from dashboard.resources.drafts import DraftStore
from dashboard.resources.pictures import SmallPictures
from dashboard.settings import case_key, settings
from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseLog, open_case_log, open_without_key
from data.cases.sign_ins import EndedSignIns
from data.cases.storage import ImageStore, open_image_store

# Small pictures of saved cases, of about 3 kB each.
MOST_PICTURES = 2000


@st.cache_resource(max_entries=1, show_spinner=False)
def image_store() -> ImageStore:
    """Where the images of saved cases lie, by the settings."""
    chosen = settings()
    return open_image_store(chosen.image_store, chosen.image_store_endpoint, chosen.image_store_encryption)


@st.cache_resource(max_entries=1, show_spinner=False)
def small_pictures() -> SmallPictures:
    """Small pictures of saved cases, made of the images in the store; at most some megabytes."""
    return SmallPictures(MOST_PICTURES)


def case_log() -> CaseLog:
    """The case log of the settings, migrated; raises `CaseLogUnavailable`, and then tries again at the next call."""
    return _opened_case_log(time.monotonic())


@st.cache_resource(max_entries=1, show_spinner=False)
def _opened_case_log(_asked_at: float) -> CaseLog:
    # Streamlit lets one open at a time. Whoever waited meanwhile is told what came of it: each would else try after the
    # other, for seconds each.
    if _failed_opening and _failed_opening[-1][0] > _asked_at:
        raise CaseLogUnavailable(str(_failed_opening[-1][1]))
    try:
        if settings().is_case_log_read_only:
            return open_without_key(settings().database_url, image_store())
        return open_case_log(settings().database_url, image_store(), case_key())
    except CaseLogUnavailable as error:
        _failed_opening.append((time.monotonic(), error))
        raise


_failed_opening: deque[tuple[float, CaseLogUnavailable]] = deque(maxlen=1)


@st.cache_resource(max_entries=1, show_spinner=False)
def drafts() -> DraftStore:
    """What the users of this process have not saved yet."""
    return DraftStore()


@st.cache_resource(max_entries=1, show_spinner=False)
def ended_sign_ins() -> EndedSignIns:
    """Which sign-ins were ended before their time, as the case log knows."""
    return EndedSignIns(case_log)
