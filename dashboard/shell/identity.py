"""Who is using the dashboard, and what they may do: from the sign-in, or the local user where there is none."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from dashboard.resources import stores
from dashboard.settings import SUBJECT, Settings, comparable, settings
from data.cases.case import LOCAL_ACTOR, Actor

# Pages by role, the first one is where a role starts. The names are those of the files in `pages/`.
ROLE_PAGES: dict[str, tuple[str, ...]] = {
    "clinician": ("review", "cases", "use", "dataset", "evaluation", "about"),
    "researcher": ("dataset", "evaluation", "use", "about"),
    "admin": ("review", "cases", "use", "dataset", "evaluation", "about", "audit"),
}
# What tells one sign-in from another: whose, by whom, when, and the number that this dashboard gave it.
_OF_A_SIGN_IN = ("iss", "sub", "iat", "exp", "nonce", "jti", "sid")
# Where a claim lists several roles, the one that may do most counts.
_STRONGEST_FIRST = ("admin", "clinician", "researcher")


class NotSignedIn(Exception):
    """Nobody is signed in in this session."""


class SignInExpired(NotSignedIn):
    """The sign-in of this session was ended, or is past the time that the provider gave it."""


class RoleMissing(Exception):
    """Signed in, but neither the allow-list nor a claim gives a role and an organisation."""


def actor() -> Actor:
    """Who acts in this session; asked anew at every use, so that an expired sign-in ends in the middle of a page, too.

    Raises:
        NotSignedIn, SignInExpired, RoleMissing: with AUTH=oidc.
    """
    return LOCAL_ACTOR if settings().auth == "none" else signed_in_actor(st.user.to_dict())


def signed_in_actor(claims: Mapping[str, Any]) -> Actor:
    """Who the claims of an id token speak of now, where nobody has ended this sign-in; raises like `actor_of`."""
    who = actor_of(claims, settings(), time.time())
    if stores.ended_sign_ins().is_ended(sign_in_of(claims)):
        raise SignInExpired("expected a sign-in that holds, received one that was ended; sign in again")
    return who


def sign_in_of(claims: Mapping[str, Any]) -> str:
    """What a sign-in is known by, whoever holds a copy of its cookie: SHA-256 of some claims, hexadecimal."""
    said = json.dumps([claims.get(name) for name in _OF_A_SIGN_IN], default=str)
    return hashlib.sha256(said.encode()).hexdigest()


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
    listed = {comparable(user.name): user for user in settings.auth_users}
    for entry in entries_of(claims, settings):
        if (user := listed.get(comparable(entry))) is not None:
            return replace(user, name=name_of(claims, settings))
    return _claimed(claims, settings)


def entries_of(claims: Mapping[str, Any], settings: Settings) -> list[str]:
    """What a user can be listed as in AUTH_USERS: by name where there is one, and by the provider's own word for them.

    A subject that is spelled like an address is nobody's proof of it, so it is listed as `sub:...`.
    """
    subject = claims.get("sub")
    by_subject = [f"{SUBJECT}{subject}"] if isinstance(subject, str) and subject else []
    return [*filter(None, [_stated_name(claims, settings)]), *by_subject]


def seconds_left(claims: Mapping[str, Any], now: float) -> float:
    """How long the sign-in still holds, seconds; 0 or less where it has expired or does not say."""
    try:
        return float(claims.get("exp", 0)) - now
    except (TypeError, ValueError):
        return 0.0


def name_of(claims: Mapping[str, Any], settings: Settings) -> str:
    """What a user is called: by the identity claim, the address that the provider vouches for, or `sub`; maybe ""."""
    return _stated_name(claims, settings) or str(claims.get("sub") or "")


def roles_of(claims: Mapping[str, Any], settings: Settings) -> list[str]:
    """What the provider calls the user's roles, as the settings look for them."""
    given = claim(claims, settings.auth_role_claim)
    return [role for role in (given if isinstance(given, list) else [given]) if isinstance(role, str)]


def claim(claims: Mapping[str, Any], path: str | None) -> Any:
    """The claim of this name, or inside others: `realm_access.roles`; None where there is none.

    A name may itself hold dots, as `https://clinic.org/role` does: the longest name that there is comes first.
    """
    if not path:
        return None
    if path in claims:
        return claims[path]
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        inner = claims.get(".".join(parts[:length]))
        if isinstance(inner, Mapping) and (found := claim(inner, ".".join(parts[length:]))) is not None:
            return found
    return None


def _stated_name(claims: Mapping[str, Any], settings: Settings) -> str:
    if settings.auth_identity_claim in (None, "email"):
        return _checked_email(claims)
    if settings.auth_identity_claim == "sub":
        return ""  # subjects differ by case
    name = claim(claims, settings.auth_identity_claim)
    return name.casefold() if isinstance(name, str) else ""


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


def _claimed(claims: Mapping[str, Any], settings: Settings) -> Actor:
    names = settings.auth_role_names or {role: role for role in _STRONGEST_FIRST}
    given = {names[role] for role in roles_of(claims, settings) if role in names}
    role = next((role for role in _STRONGEST_FIRST if role in given), None)
    organisation = _organisation(claim(claims, settings.auth_organisation_claim))
    name = name_of(claims, settings)
    if role is None or not organisation or not name:
        raise RoleMissing("expected a role and an organisation for this user, received none; ask the administrator")
    return Actor(name, organisation, role)


def _organisation(given: Any) -> str:
    """The one organisation that a claim names, as a text, a list or a map by name; empty where it names several."""
    if isinstance(given, (list, Mapping)):
        given = next(iter(given)) if len(given) == 1 else None
    return given if isinstance(given, str) else ""
