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
from dashboard.doors import sign_out
from dashboard.doors import wording as door_wording
from dashboard.resources import models, stores
from dashboard.settings import ROOT, SettingsError, check_address, settings
from dashboard.shell.errors import ANY_PAGE
from dashboard.shell.identity import (
    ROLE_PAGES,
    NotSignedIn,
    RoleMissing,
    SignInExpired,
    actor,
    entries_of,
    may,
    name_of,
    seconds_left,
)
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
ROOT_NAME = "start"
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
        return _instead(functools.partial(_ask_to_sign_in, door_wording.EXPIRED))
    except NotSignedIn:
        return _instead(_ask_to_sign_in)
    except RoleMissing:
        return _instead(_explain_missing_role)
    _record_sign_in(user)
    listed = [_page(name, user) for name in PAGES]
    first = next(page for page in listed if page.url_path == "")
    return [*listed, _at_its_own_address(ROLE_PAGES[user.role][0], functools.partial(st.switch_page, first))]


def page(name: str) -> StreamlitPage:
    """A page as this session gets it, for links to it; named as its file in `pages/`."""
    return _page(name, actor())


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
        st.button(door_wording.SIGN_OUT, key="sign_out", icon=":material/logout:", type="tertiary", on_click=_sign_out)


def _page(name: str, user: Actor) -> StreamlitPage:
    title, icon = PAGES[name]
    if not may(user, name):
        return st.Page(
            functools.partial(_explain_closed_page, title, user), title=title, url_path=name, visibility="hidden"
        )
    is_first = name == ROLE_PAGES[user.role][0]
    # The first one stands at the root, whatever it is called; its own name is for `_at_its_own_address`.
    address = ROOT_NAME if is_first else name
    return st.Page(ROOT / "pages" / f"{name}.py", title=title, icon=icon, url_path=address, default=is_first)


def _at_its_own_address(name: str, draw: Callable[[], None]) -> StreamlitPage:
    """The page that stands at the root, below its own name, where Streamlit finds none."""
    return st.Page(draw, title=PAGES[name][0], url_path=name, visibility="hidden")


def _instead(draw: Callable[[], None]) -> list[StreamlitPage]:
    root = st.Page(draw, title=door_wording.SIGN_IN, url_path=ROOT_NAME, default=True, visibility="hidden")
    return [root, *(st.Page(draw, title=door_wording.SIGN_IN, url_path=name, visibility="hidden") for name in PAGES)]


def _refuse(error: SettingsError) -> None:
    raise error


def _ask_to_sign_in(remark: str = "") -> None:
    st.title(door_wording.WELCOME)
    st.write(door_wording.intended_use(models.tasks()))
    if remark:
        st.info(remark, icon=":material/schedule:")
    st.button(door_wording.SIGN_IN, key="sign_in", type="primary", on_click=st.login)


def _explain_missing_role() -> None:
    st.title(door_wording.NO_ROLE_TITLE)
    claims = st.user.to_dict()
    st.text(door_wording.no_role(name_of(claims, settings())))
    for entry in entries_of(claims, settings())[:1]:
        what, line = door_wording.how_to_list(entry)
        st.text(what)
        st.code(line, language=None, wrap_lines=True)


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
        stores.case_log().record_sign_in(user)
        st.session_state[_IS_RECORDED] = True
    except ANY_PAGE as error:
        _log.warning("sign-in not recorded: %s", error)


def _sign_out() -> None:
    sign_out.end(st.user.to_dict())
    tab.forget_draft()
    st.session_state.clear()
    st.logout()
