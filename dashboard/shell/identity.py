"""Who is using the dashboard, and what they may do: from the sign-in, or the local user where there is none."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.shell.settings import Settings, settings
from data.cases.case import LOCAL_ACTOR, Actor

# Pages by role, the first one is where a role starts. The names are those of the files in `pages/`.
ROLE_PAGES: dict[str, tuple[str, ...]] = {
    "clinician": ("review", "cases", "use", "dataset", "evaluation", "about"),
    "researcher": ("dataset", "evaluation", "use", "about"),
    "admin": ("review", "cases", "use", "dataset", "evaluation", "about", "audit"),
}
# Where a claim lists several roles, the one that may do most counts.
_STRONGEST_FIRST = ("admin", "clinician", "researcher")


class NotSignedIn(Exception):
    """Nobody is signed in in this session."""


class SignInExpired(NotSignedIn):
    """The sign-in of this session is past the time that the provider gave it."""


class RoleMissing(Exception):
    """Signed in, but neither the allow-list nor a claim gives a role and an organisation."""


def actor() -> Actor:
    """Who acts in this session; asked anew at every use, so that an expired sign-in ends in the middle of a page, too.

    Raises:
        NotSignedIn, SignInExpired, RoleMissing: with AUTH=oidc.
    """
    if settings().auth == "none":
        return LOCAL_ACTOR
    return actor_of(st.user.to_dict(), settings(), time.time())


def may(actor: Actor, page: str) -> bool:
    """Whether the actor's role may see a page, named as its file in `pages/`."""
    return page in ROLE_PAGES[actor.role]


def actor_of(claims: Mapping[str, Any], settings: Settings, now: float) -> Actor:
    """Who the claims of an id token speak of; the allow-list counts before the claims.

    Args:
        claims: as `st.user` gives them, with `is_logged_in`.
        settings: allow-list and names of the claims.
        now: seconds since 1970, UTC.

    Raises:
        NotSignedIn: no one is signed in.
        SignInExpired: `exp` has passed or is missing, which Streamlit does not check.
        RoleMissing: no role or no organisation.
    """
    if not claims.get("is_logged_in"):
        raise NotSignedIn("expected a sign-in, received none; sign in")
    if seconds_left(claims, now) <= 0:
        raise SignInExpired("expected a sign-in that has not expired, received an older one; sign in again")
    name = _name(claims)
    # The list holds addresses: a subject that is spelled like one of them is nobody's proof of it.
    listed = next((user for user in settings.auth_users if user.name == _checked_email(claims)), None)
    return listed or _claimed(claims, settings, name)


def seconds_left(claims: Mapping[str, Any], now: float) -> float:
    """How long the sign-in still holds, seconds; 0 or less where it has expired or does not say."""
    try:
        return float(claims.get("exp", 0)) - now
    except (TypeError, ValueError):
        return 0.0


def _name(claims: Mapping[str, Any]) -> str:
    return _checked_email(claims) or str(claims.get("sub") or "")


def _checked_email(claims: Mapping[str, Any]) -> str:
    """The address that the provider vouches for, empty where it does not.

    An address that it has not checked is anybody's claim; the subject is the provider's own word. Some providers send
    no `email_verified`; whatever else than true they send there is no yes.
    """
    said = claims.get("email_verified", True)
    if said is not True and said != "true":
        return ""
    email = claims.get("email")
    return email.casefold() if isinstance(email, str) else ""


def _claimed(claims: Mapping[str, Any], settings: Settings, name: str) -> Actor:
    given = claims.get(settings.auth_role_claim) if settings.auth_role_claim else None
    roles = given if isinstance(given, list) else [given]
    role = next((role for role in _STRONGEST_FIRST if role in roles), None)
    organisation = claims.get(settings.auth_organisation_claim) if settings.auth_organisation_claim else None
    if role is None or not isinstance(organisation, str) or not organisation or not name:
        raise RoleMissing("expected a role and an organisation for this user, received none; ask the administrator")
    return Actor(name, organisation, role)
