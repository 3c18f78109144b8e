"""Sign-ins without a provider: the cookies that Streamlit makes of claims, and a dashboard that asks for one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.auth_util import set_cookie_with_chunks
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from tests.support.case_log import case_log_of
from tests.support.dashboard import SIGN_IN_SECRETS

USER_COOKIE = "_streamlit_user"
ORIGIN = "http://127.0.0.1:8501"


def user_claims(role: str = "clinician", **changed: Any) -> dict[str, Any]:
    """Of Ben of the North Clinic, for another hour, as Streamlit keeps them in its cookie."""
    now = int(time.time())
    claims = {"iss": "https://provider", "sub": "17", "email": "ben@clinic.org", "iat": now, "exp": now + 3600}
    kept = {"origin": ORIGIN, "is_logged_in": True, "provider": "default"}
    return claims | {"nonce": "made up", "role": role, "organisation": "North Clinic"} | kept | changed


def user_cookies(claims: Mapping[str, Any], secret: str = SIGN_IN_SECRETS["cookie_secret"]) -> dict[str, str]:
    """The cookies of a user, several where the claims are many."""
    made: dict[str, str] = {}

    def keep(name: str, value: str) -> None:
        made[name] = create_signed_value(secret, name, value).decode()

    def signed(name: str, value: str) -> bytes:
        return create_signed_value(secret, name, value)

    set_cookie_with_chunks(keep, signed, USER_COOKIE, dict(claims), cookie_attr_size=80)
    return made


def signed(value: object, name: str = USER_COOKIE, secret: str = SIGN_IN_SECRETS["cookie_secret"]) -> str:
    """One cookie with any content."""
    return create_signed_value(secret, name, value if isinstance(value, str) else json.dumps(value)).decode()


@contextmanager
def asking_for_sign_in(folder: Path, monkeypatch: pytest.MonkeyPatch, **variables: Any) -> Iterator[None]:
    """Settings with AUTH=oidc, an empty SQLite log, and the secrets that go with them."""
    monkeypatch.setattr(st.secrets, "_secrets", {"auth": SIGN_IN_SECRETS})
    given = {"AUTH": "oidc", "AUTH_ROLE_CLAIM": "role", "AUTH_ORGANISATION_CLAIM": "organisation"}
    with case_log_of(folder, monkeypatch, **given | variables):
        yield
