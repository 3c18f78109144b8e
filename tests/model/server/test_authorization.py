"""Who may use the API: tokens by their hash, JWTs by the keys of a real issuer on this machine."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from model.server import authorization as server_authorization
from model.server.app import create_app
from model.server.authorization import (
    Authorization,
    BearerTokens,
    IdentityProviderUnavailable,
    IssuerKeys,
    OpenIdConnect,
)
from model.server.problems import Problem
from model.server.settings import ServerSettings, hash_token
from tests.support.server import TOKEN, assert_problem, open_app, predict, sample, send

AUDIENCE = "lesionlens"


class Issuer:
    """An OpenID Connect issuer on this machine: discovery, keys, and a private key to sign with."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "first"})
        self.requests = 0
        self.is_away = False
        self.other_keys: list[Any] = []
        self.document_of_keys: dict[str, Any] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests += 1
                self.send_response(503 if issuer.is_away else 200)
                self.end_headers()
                self.wfile.write(json.dumps(issuer.document(self.path)).encode())

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.named = self.address
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def document(self, path: str) -> dict[str, Any]:
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.named, "jwks_uri": f"{self.address}/keys"}
        return self.document_of_keys or {"keys": [*self.other_keys, self.key.as_dict(private=False)]}

    def token(self, key: Any = None, header: dict[str, str] | None = None, **claims: Any) -> str:
        stated = {"iss": self.address, "aud": AUDIENCE, "sub": "u1", "exp": int(time.time()) + 60, **claims}
        stated = {name: value for name, value in stated.items() if value is not None}
        return jwt.encode(header or {"alg": "RS256", "kid": "first"}, stated, key or self.key)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.server.shutdown()
    issuer.server.server_close()


def client(authorization: Authorization, header: str | None) -> str:
    return asyncio.run(authorization.client(header, "10.0.0.1"))


def refusal(authorization: Authorization, header: str | None) -> Problem:
    with pytest.raises(Problem) as refused:
        client(authorization, header)
    return refused.value


def urlsafe(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def oidc(issuer: Issuer) -> OpenIdConnect:
    return OpenIdConnect(issuer.address, AUDIENCE)


# --- Tokens ----------------------------------------------------------------------------------------------------------


def test_each_token_is_a_client_without_its_name() -> None:
    tokens = BearerTokens((hash_token("one"), hash_token("two")))
    clients = {client(tokens, "Bearer one"), client(tokens, "bearer two")}
    assert len(clients) == 2
    assert not clients & {"one", "two"}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic one", "Bearer three", "one", "Bearer öne"])
def test_anyone_else_is_told_how(header: str | None) -> None:
    refused = refusal(BearerTokens((hash_token("one"),)), header)
    assert (refused.reason, refused.status) == ("unauthorised", 401)
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert "three" not in refused.detail


def test_guarded_api_answers_holders_of_a_token_only() -> None:
    app = create_app(ServerSettings(token_hashes=(hash_token(TOKEN),), workers=1))
    for path in ("/v1/predict", "/v1/predict/batch", "/v1/heatmap", "/v1/preprocess"):
        assert_problem(predict(app, sample(), path), 401, "unauthorised")
    assert_problem(send(app, "GET", "/metrics"), 401, "unauthorised")
    assert predict(app, sample(), Authorization=f"Bearer {TOKEN}").status_code == 200
    assert send(app, "GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    # Whoever watches the process has no token.
    assert send(app, "GET", "/healthz").status_code == send(app, "GET", "/readyz").status_code == 200


def test_open_api_asks_nobody() -> None:
    assert send(open_app(), "GET", "/metrics").status_code == 200


@pytest.mark.parametrize("address", ["192.0.2.7", "10.0.0.1", "2001:db8::1"])
def test_open_api_shows_metrics_to_this_machine_alone(address: str) -> None:
    async def asked(path: str, **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(open_app(), client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.get(path, headers=headers)

    assert_problem(asyncio.run(asked("/metrics")), 401, "unauthorised")
    assert_problem(asyncio.run(asked("/metrics", **{"x-forwarded-for": "127.0.0.1"})), 401, "unauthorised")
    assert asyncio.run(asked("/healthz")).status_code == 200
    # Through a proxy of this machine that is none of the stated ones.
    assert_problem(send(open_app(), "GET", "/metrics", headers={"x-forwarded-for": address}), 401, "unauthorised")


# --- JWTs ------------------------------------------------------------------------------------------------------------


def test_valid_token_lets_in_and_users_are_told_apart(issuer: Issuer) -> None:
    authorization = oidc(issuer)
    one, two = (client(authorization, f"Bearer {issuer.token(sub=name)}") for name in ("anna", "berta"))
    assert one != two
    assert client(authorization, f"Bearer {issuer.token(sub='anna')}") == one
    assert "anna" not in one
    assert issuer.requests == 2  # discovery and keys, once


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": None},
        {"aud": [], "client_id": AUDIENCE},
        {"iss": "https://another.example"},
        {"iss": None},
        {"exp": int(time.time()) - 120},
        {"exp": None},
        {"nbf": 4_102_444_800},  # the year 2100
    ],
    ids=lambda claims: ",".join(claims),
)
def test_token_with_wrong_claims_is_refused(issuer: Issuer, claims: dict[str, Any]) -> None:
    refused = refusal(oidc(issuer), f"Bearer {issuer.token(**claims)}")
    assert (refused.reason, refused.status) == ("unauthorised", 401)


@pytest.mark.parametrize("claims", [{"aud": ["other", AUDIENCE]}, {"aud": None, "client_id": AUDIENCE}])
def test_audience_may_be_one_of_several_or_cognito_s_client(issuer: Issuer, claims: dict[str, Any]) -> None:
    assert client(oidc(issuer), f"Bearer {issuer.token(**claims)}")


def test_token_expires_after_the_leeway(issuer: Issuer) -> None:
    now = time.time()
    token = f"Bearer {issuer.token(exp=int(now))}"
    assert client(OpenIdConnect(issuer.address, AUDIENCE, clock=lambda: now + 20), token)
    assert refusal(OpenIdConnect(issuer.address, AUDIENCE, clock=lambda: now + 40), token).status == 401


def test_signature_of_another_key_is_refused(issuer: Issuer) -> None:
    forged = issuer.token(key=RSAKey.generate_key(2048, {"kid": "first"}))
    assert refusal(oidc(issuer), f"Bearer {forged}").status == 401


def test_signature_with_the_public_key_as_secret_is_refused(issuer: Issuer) -> None:
    # By hand, since joserfc itself would not sign so.
    header = {"alg": "HS256", "kid": "first"}
    signed = ".".join([urlsafe(json.dumps(header).encode()), issuer.token().split(".")[1]])
    signature = hmac.digest(issuer.key.as_pem(private=False), signed.encode(), "sha256")
    forged = f"{signed}.{urlsafe(signature)}"
    assert refusal(oidc(issuer), f"Bearer {forged}").status == 401


@pytest.mark.parametrize("token", ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "." * 2000])
def test_what_is_no_jwt_is_refused(issuer: Issuer, token: str) -> None:
    assert refusal(oidc(issuer), f"Bearer {token}").status == 401


def test_new_key_is_fetched_but_not_at_every_bad_token(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    authorization = oidc(issuer)
    client(authorization, f"Bearer {issuer.token()}")
    issuer.key = RSAKey.generate_key(2048, {"kid": "second"})
    renewed = f"Bearer {issuer.token(header={'alg': 'RS256', 'kid': 'second'})}"
    assert refusal(authorization, renewed).status == 401  # asked a moment ago
    assert issuer.requests == 2
    monkeypatch.setattr(server_authorization, "KEYS_REFETCH_SECONDS", 0)
    assert client(authorization, renewed)


def test_issuer_that_is_away_is_no_fault_of_the_caller(issuer: Issuer) -> None:
    issuer.is_away = True
    refused = refusal(oidc(issuer), f"Bearer {issuer.token()}")
    assert (refused.reason, refused.status) == ("identity_provider_unavailable", 503)
    assert refused.headers == {"Retry-After": "60"}


def test_known_keys_outlive_the_issuer(issuer: Issuer) -> None:
    seconds = 0.0
    keys = IssuerKeys(issuer.address, clock=lambda: seconds)
    first = keys.known()
    issuer.is_away, seconds = True, 4000.0
    assert keys.known() is first
    issuer.is_away, seconds = False, 8000.0
    assert keys.known() is not first


def test_issuer_that_answers_for_another_is_not_believed(issuer: Issuer) -> None:
    issuer.named = "https://another.example"
    with pytest.raises(IdentityProviderUnavailable):
        IssuerKeys(issuer.address).known()


UNUSABLE: list[Any] = [
    {"kty": "EC", "crv": "brainpoolP256r1", "x": "AAAA", "y": "AAAA", "kid": "brainpool"},
    {"kty": "EC", "crv": "P-999", "x": "AAAA", "y": "AAAA"},
    {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
    {"kid": "no kind"},
    {"kty": "AKP", "alg": "ML-DSA-44"},
    {"kty": "RSA", "n": "!!", "e": "AQAB"},
    {"kty": ["RSA"]},
    "text",
    None,
]


@pytest.mark.parametrize("unusable", UNUSABLE, ids=str)
def test_key_that_cannot_be_used_keeps_nobody_out(
    issuer: Issuer, unusable: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer, "other_keys", [unusable])
    assert client(oidc(issuer), f"Bearer {issuer.token()}")
    # Whoever names the unusable key is not let in, and nothing fails.
    other = {"alg": "RS256", "kid": "brainpool"}
    assert refusal(oidc(issuer), f"Bearer {issuer.token(header=other)}").status == 401


def test_issuer_without_a_usable_key_is_said(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer, "document_of_keys", {"keys": UNUSABLE})
    assert refusal(oidc(issuer), f"Bearer {issuer.token()}").status == 503


@pytest.mark.parametrize("configured", ["", "/"])
@pytest.mark.parametrize("named", ["", "/"])
@pytest.mark.parametrize("claimed", ["", "/"])
def test_slash_at_the_end_of_an_issuer_makes_no_difference(
    issuer: Issuer, configured: str, named: str, claimed: str
) -> None:
    issuer.named = issuer.address + named
    authorization = OpenIdConnect(issuer.address + configured, AUDIENCE)
    assert client(authorization, f"Bearer {issuer.token(iss=issuer.address + claimed)}")
    assert refusal(authorization, f"Bearer {issuer.token(iss=f'{issuer.address}/other')}").status == 401


def test_api_answers_holders_of_a_jwt(issuer: Issuer) -> None:
    app = create_app(ServerSettings(oidc_issuer=issuer.address, oidc_audience=AUDIENCE, workers=1))
    assert predict(app, sample(), Authorization=f"Bearer {issuer.token()}").status_code == 200
    expired = issuer.token(exp=int(time.time()) - 120)
    problem = assert_problem(predict(app, sample(), Authorization=f"Bearer {expired}"), 401, "unauthorised")
    assert "sign in again" in problem["detail"]
