"""Who may use the API: anyone, holders of a bearer token, or holders of a JWT of an OpenID Connect issuer."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import math
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any, Protocol

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet

from model.server.problems import Problem
from model.server.request_log import LOGGER
from model.server.settings import ServerSettings, hash_token, is_safe_address

# Signatures by a private key only: a shared secret, or none, would let anyone with the public key sign.
ALGORITHMS = ("RS256", "PS256", "ES256")
CLOCK_LEEWAY_SECONDS = 30
KEYS_KEPT_SECONDS = 3600
# A token signed with an unknown key has the keys fetched again, but no more often than this.
KEYS_REFETCH_SECONDS = 30
_FETCH_TIMEOUT_SECONDS = 5
_MAX_FETCHED_BYTES = 1024 * 1024


class IdentityProviderUnavailable(Exception):
    """The issuer's keys cannot be fetched."""


class Authorization(Protocol):
    """Decides from a request's headers who is asking."""

    async def client(self, authorization: str | None, address: str) -> str:
        """A key for the rate limit, of nobody's name; raises Problem `unauthorised` for anyone who may not ask."""
        ...


class Anyone:
    """Lets everybody in; clients are told apart by their address."""

    async def client(self, authorization: str | None, address: str) -> str:
        return address


class BearerTokens:
    """Lets in whoever holds one of the tokens, of which it knows the hashes."""

    def __init__(self, token_hashes: tuple[bytes, ...]) -> None:
        self._hashes = token_hashes

    async def client(self, authorization: str | None, address: str) -> str:
        received = hash_token(_bearer(authorization))
        # All are compared, each in constant time: how long it takes says nothing.
        if not any([hmac.compare_digest(received, known) for known in self._hashes]):
            raise _unauthorised("expected a valid bearer token, received another; check the token")
        return received.hex()


class OpenIdConnect:
    """Lets in whoever holds an unexpired JWT of the issuer for the audience."""

    def __init__(self, issuer: str, audience: str, clock: Callable[[], float] = time.time) -> None:
        # Issuers name themselves with a slash at the end or without; settings are typed by people.
        self._issuer = issuer.rstrip("/")
        self._audience = audience
        self._clock = clock
        self._keys = IssuerKeys(issuer)

    async def client(self, authorization: str | None, address: str) -> str:
        token = _bearer(authorization)
        try:
            # In a thread, since it may fetch keys.
            claims = await asyncio.to_thread(self._claims, token)
        except (JoseError, ValueError) as error:
            raise _unauthorised(
                "expected a valid, unexpired token of the issuer for this API, received another; sign in again"
            ) from error
        except IdentityProviderUnavailable as error:
            raise Problem(
                "identity_provider_unavailable",
                "expected to fetch the issuer's keys, the issuer does not answer; try again in a minute",
                {"Retry-After": "60"},
            ) from error
        return hashlib.sha256(f"{self._issuer} {claims.get('sub')}".encode()).hexdigest()

    def _claims(self, token: str) -> dict[str, Any]:
        claims = self._decoded(token)
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(self._clock()),
            leeway=CLOCK_LEEWAY_SECONDS,
            iss={"essential": True, "values": [self._issuer, f"{self._issuer}/"]},
            exp={"essential": True},
        )
        registry.validate(claims)
        # Access tokens of Amazon Cognito have a `client_id` and no `aud`; API Gateway reads them in the same way.
        audience = claims.get("aud", claims.get("client_id"))
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise ValueError("expected a token for this audience")
        return claims

    def _decoded(self, token: str) -> dict[str, Any]:
        try:
            return jwt.decode(token, self._keys.known(), algorithms=ALGORITHMS).claims
        except (JoseError, ValueError):
            # Perhaps signed with a key that is newer than ours.
            if not self._keys.refetch():
                raise
            return jwt.decode(token, self._keys.known(), algorithms=ALGORITHMS).claims


class IssuerKeys:
    """The public keys of an issuer, fetched when first needed and kept for an hour; safe in threads."""

    def __init__(self, issuer: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._asked = -math.inf

    def known(self) -> KeySet:
        """The keys; old ones while the issuer does not answer.

        Raises:
            IdentityProviderUnavailable: there are none yet, and the issuer does not answer.
        """
        with self._lock:
            if self._keys is None or self._clock() - self._asked > KEYS_KEPT_SECONDS:
                self._ask()
            if self._keys is None:
                raise IdentityProviderUnavailable("expected the keys of the issuer, have none")
            return self._keys

    def refetch(self) -> bool:
        """Fetch the keys again unless that was tried a moment ago; whether there are new ones."""
        with self._lock:
            return self._ask()

    def _ask(self) -> bool:
        if self._clock() - self._asked < KEYS_REFETCH_SECONDS:
            return False
        self._asked = self._clock()
        try:
            self._keys = fetch_keys(self._issuer)
        # A provider may be away, or answer with anything at all.
        except (OSError, ValueError, KeyError, TypeError, AttributeError, JoseError) as error:
            LOGGER.warning("issuer's keys not fetched", extra={"fields": {"error": type(error).__name__}})
            return False
        return True


def fetch_keys(issuer: str) -> KeySet:
    """The public keys of an issuer, by its discovery document. Uses the network.

    Raises:
        OSError: it does not answer in time, or with an error.
        ValueError, KeyError, TypeError, AttributeError: it answers, but not as OpenID Connect Discovery says.

    Source:
        OpenID Connect Discovery 1.0, section 4.
    """
    document = _fetched(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if document["issuer"].rstrip("/") != issuer.rstrip("/"):
        raise ValueError("expected the discovery document of the issuer, received another's")
    keys = [key for data in _fetched(document["jwks_uri"])["keys"] if (key := _usable_key(data)) is not None]
    if not keys:
        raise ValueError("expected a key that can be used, received none")
    return KeySet(keys)


def _usable_key(data: Any) -> Key | None:
    """A key of an issuer's set; None for one of another kind or curve, which the others do not suffer for.

    Source:
        RFC 7517, section 5.
    """
    try:
        return KeySet.registry_cls.import_key(data)
    # KeyError is a curve that is not known, AttributeError and TypeError are no key at all.
    except (JoseError, ValueError, KeyError, TypeError, AttributeError):
        return None


def authorization_of(settings: ServerSettings) -> Authorization:
    """What the settings ask for."""
    if settings.oidc_issuer is not None and settings.oidc_audience is not None:
        return OpenIdConnect(settings.oidc_issuer, settings.oidc_audience)
    return BearerTokens(settings.token_hashes) if settings.token_hashes else Anyone()


def _fetched(address: str) -> Any:
    if not is_safe_address(address):
        raise ValueError("expected an https address")
    with urllib.request.urlopen(address, timeout=_FETCH_TIMEOUT_SECONDS) as response:
        return json.loads(response.read(_MAX_FETCHED_BYTES))


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unauthorised("expected the header Authorization: Bearer TOKEN, received none; add it")
    return token.strip()


def _unauthorised(detail: str) -> Problem:
    return Problem("unauthorised", detail, {"WWW-Authenticate": 'Bearer realm="lesionlens"'})
