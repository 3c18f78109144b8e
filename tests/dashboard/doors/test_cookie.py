"""Forged cookies: none of them says who somebody is; those of Streamlit do, in one part or in many."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from itsdangerous import TimestampSigner
from joserfc import jwk, jwt

from dashboard.doors.cookie import claims_of
from tests.support.servers.signed_in import USER_COOKIE, asking_for_sign_in, signed, user_claims, user_cookies

CLAIMS = user_claims()
# Group ids as Entra has them: nothing that could be compressed.
GROUPS = [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(250)]
MANY = user_claims(groups=GROUPS)
SECRET = "c" * 32


@pytest.fixture(autouse=True)
def sign_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with asking_for_sign_in(tmp_path, monkeypatch):
        yield


@pytest.mark.parametrize("claims", [CLAIMS, MANY], ids=["one part", "many parts"])
def test_cookies_that_streamlit_made_say_who_it_is(claims: dict[str, Any]) -> None:
    cookies = user_cookies(claims)
    assert (len(cookies) > 2) == (claims is MANY)
    assert claims_of(cookies) == claims


def test_a_jwt_of_any_kind_is_no_cookie() -> None:
    key = jwk.OctKey.import_key(SECRET)
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(json.dumps(CLAIMS).encode()).rstrip(b"=").decode()
    for token in (f"{head}.{body}.", f"{head}.{body}", jwt.encode({"alg": "HS256"}, CLAIMS, key)):
        assert claims_of({USER_COOKIE: token}) == {}


def altered(position: int) -> dict[str, str]:
    (cookie,) = user_cookies(CLAIMS).values()
    letter = "A" if cookie[position] != "A" else "B"
    changed = list(cookie)
    changed[position] = letter
    return {USER_COOKIE: "".join(changed)}


def shortened(parts: int) -> dict[str, str]:
    (cookie,) = user_cookies(CLAIMS).values()
    return {USER_COOKIE: ".".join(cookie.split(".")[:parts])}


def at_another_time(seconds: float) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimestampSigner, "get_timestamp", lambda self: int(time.time() + seconds))
        return user_cookies(CLAIMS)


def of_two_sign_ins() -> dict[str, str]:
    """The head of the claims from an older sign-in, the rest from a newer one: each part is genuine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimestampSigner, "get_timestamp", lambda self: int(time.time() - 600))
        older = user_cookies(MANY | {"role": "admin"})
    return user_cookies(MANY) | {f"{USER_COOKIE}_1": older[f"{USER_COOKIE}_1"]}


FORGED: dict[str, Callable[[], dict[str, str]]] = {
    "none": lambda: {},
    "empty": lambda: {USER_COOKIE: ""},
    "plain JSON": lambda: {USER_COOKIE: json.dumps(CLAIMS)},
    "another secret": lambda: user_cookies(CLAIMS, secret="d" * 32),
    "an empty secret": lambda: user_cookies(CLAIMS, secret=""),
    "signed under another name": lambda: {USER_COOKIE: signed(CLAIMS, "_streamlit_user_tokens")},
    "a part as the whole": lambda: {USER_COOKIE: signed(CLAIMS, f"{USER_COOKIE}_1")},
    "first letter altered": lambda: altered(0),
    "letter of the claims altered": lambda: altered(60),
    "letter of the seal altered": lambda: altered(-10),
    "no seal": lambda: shortened(2),
    "claims alone": lambda: shortened(1),
    "older than thirty days": lambda: at_another_time(-31 * 86400),
    "a part missing": lambda: {name: part for name, part in user_cookies(MANY).items() if not name.endswith("_2")},
    "parts in another order": lambda: user_cookies(MANY) | {f"{USER_COOKIE}_1": user_cookies(MANY)[f"{USER_COOKIE}_2"]},
    "parts of two sign-ins": of_two_sign_ins,
    "no JSON": lambda: {USER_COOKIE: signed("is_logged_in")},
    "no claims": lambda: {USER_COOKIE: signed(["is_logged_in"])},
    "not UTF-8": lambda: {USER_COOKIE: "\xff\xfe\x00"},
    "very long": lambda: {USER_COOKIE: "A." * 50_000},
}


@pytest.mark.parametrize("kind", FORGED)
def test_forged_cookies_say_nothing(kind: str) -> None:
    assert claims_of(FORGED[kind]()) == {}
