"""The end of a sign-in: a mark that holds for every copy of its cookie, every tab and every process, and the trail."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from dashboard.resources import stores
from dashboard.shell.errors import ANY_PAGE
from dashboard.shell.identity import RoleMissing, seconds_left, sign_in_of, signed_in_actor

_log = logging.getLogger(__name__)


def end(claims: Mapping[str, Any]) -> None:
    """End a sign-in and write it into the audit trail; nothing where it has ended before.

    Args:
        claims: of the user, as Streamlit or the cookie gives them.
    """
    try:
        who = signed_in_actor(claims)
    except RoleMissing:
        who = None  # nobody whom the trail knows
    except ANY_PAGE:
        return
    try:
        now = time.time()
        stores.ended_sign_ins().end(sign_in_of(claims), now + seconds_left(claims, now))
        if who is not None:
            stores.case_log().record_sign_out(who)
    except ANY_PAGE as error:
        _log.warning("sign-out not recorded: %s", error)
