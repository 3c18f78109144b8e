"""Which pages this session gets: those of the user's role, or the sign-in page in place of them all."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from html import escape

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from dashboard.access import tab, wording
from dashboard.shell import resources
from dashboard.shell.errors import ANY_PAGE
from dashboard.shell.identity import ROLE_PAGES, NotSignedIn, RoleMissing, SignInExpired, actor, may, seconds_left
from dashboard.shell.settings import ROOT, SettingsError, check_address, settings
from data.cases.case import Actor

# Title and icon of every page, in the order of the navigation bar.
PAGES: dict[str, tuple[str, str]] = {
    "review": ("Review", ":material/frame_inspect:"),
    "cases": ("Cases", ":material/folder_open:"),
    "use": ("Local performance", ":material/query_stats:"),
    "dataset": ("Dataset", ":material/grid_view:"),
    "evaluation": ("Evaluation", ":material/monitoring:"),
    "about": ("About", ":material/info:"),
    "audit": ("Audit", ":material/history:"),
}
WARNING_SECONDS = 600  # time enough to finish a case
_IS_RECORDED = "sign_in_is_recorded"

_log = logging.getLogger(__name__)


def pages() -> list[StreamlitPage]:
    """The pages of this run. Every address leads somewhere, so that a bookmark never meets an error of Streamlit."""
    try:
        check_address(settings(), st.get_option("server.address"))
        user = actor()
    except SettingsError as error:
        return _instead(functools.partial(_refuse, error))
    except SignInExpired:
        st.session_state.clear()
        return _instead(functools.partial(_ask_to_sign_in, wording.EXPIRED))
    except NotSignedIn:
        return _instead(_ask_to_sign_in)
    except RoleMissing:
        return _instead(_explain_missing_role)
    _record_sign_in(user)
    return [_page(name, user) for name in PAGES]


def is_in() -> bool:
    """Whether this session gets the pages themselves, rather than one in place of them all."""
    try:
        actor()
    except (NotSignedIn, RoleMissing, SignInExpired):
        return False
    return True


def user_bar() -> None:
    """Who is signed in, how long the sign-in still holds, and the way out; nothing without sign-in."""
    if settings().auth == "none" or not st.user.get("is_logged_in"):
        return
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        _say_when_it_ends()
        _say_who()
        # A callback, so that the page under way is not drawn for somebody who has gone.
        st.button(wording.SIGN_OUT, key="sign_out", icon=":material/logout:", type="tertiary", on_click=_sign_out)


def _page(name: str, user: Actor) -> StreamlitPage:
    title, icon = PAGES[name]
    if not may(user, name):
        return st.Page(
            functools.partial(_explain_closed_page, title, user), title=title, url_path=name, visibility="hidden"
        )
    is_first = name == ROLE_PAGES[user.role][0]
    return st.Page(ROOT / "pages" / f"{name}.py", title=title, icon=icon, default=is_first)


def _instead(draw: Callable[[], None]) -> list[StreamlitPage]:
    return [
        st.Page(draw, title=wording.SIGN_IN, url_path=name, default=position == 0, visibility="hidden")
        for position, name in enumerate(PAGES)
    ]


def _refuse(error: SettingsError) -> None:
    raise error


def _ask_to_sign_in(remark: str = "") -> None:
    st.title(wording.WELCOME)
    st.write(wording.INTENDED_USE)
    if remark:
        st.info(remark, icon=":material/schedule:")
    st.button(wording.SIGN_IN, key="sign_in", type="primary", on_click=st.login)


def _explain_missing_role() -> None:
    st.title(wording.NO_ROLE_TITLE)
    st.text(wording.no_role(str(st.user.get("email") or "")))


def _explain_closed_page(title: str, user: Actor) -> None:
    st.title(title)
    st.info(wording.not_open(title, user), icon=":material/lock:")


def _say_who() -> None:
    try:
        st.html(f'<p class="lens-data">{escape(wording.signed_in_as(actor()))}</p>')
    except (NotSignedIn, RoleMissing):
        pass  # the page says so


def _say_when_it_ends() -> None:
    left = seconds_left(st.user.to_dict(), time.time())
    if 0 < left < WARNING_SECONDS:
        st.html(f'<p class="lens-data" role="status">{escape(wording.ends_soon(left))}</p>')


def _record_sign_in(user: Actor) -> None:
    if settings().auth == "none" or st.session_state.get(_IS_RECORDED):
        return
    try:
        resources.case_log().record_sign_in(user)
        st.session_state[_IS_RECORDED] = True
    except ANY_PAGE as error:
        _log.warning("sign-in not recorded: %s", error)


def _sign_out() -> None:
    try:
        resources.case_log().record_sign_out(actor())
    except ANY_PAGE as error:
        _log.warning("sign-out not recorded: %s", error)
    tab.forget_draft()
    st.session_state.clear()
    st.logout()
