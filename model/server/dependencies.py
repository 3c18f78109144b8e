"""What a route asks for before it runs: the service, who is asking, and room for the request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request

from model.analysis.log_lines import RequestRecord
from model.server.bodies import check_announced_size
from model.server.problems import Problem
from model.server.request_log import record_of
from model.server.service import Service
from model.settings import is_loopback


# Without waiting, but `async`: FastAPI would run plain functions in a thread each.
async def _service(request: Request) -> Service:
    return request.app.state.service


async def _record(request: Request) -> RequestRecord:
    return record_of(request.scope)


ServiceOf = Annotated[Service, Depends(_service)]
RecordOf = Annotated[RequestRecord, Depends(_record)]


async def authorised_client(request: Request, service: ServiceOf) -> str:
    """A key of whoever asks; raises Problem `unauthorised` for who may not."""
    return await service.authorization.client(request.headers.get("authorization"), _address_of(request))


Client = Annotated[str, Depends(authorised_client)]


async def watcher(request: Request, client: Client, service: ServiceOf) -> None:
    """Lets in whoever may see the metrics: where everybody may ask, this machine alone.

    Raises:
        Problem: `unauthorised` for anyone else.
    """
    # The header stays where a proxy of this machine is none of the stated ones.
    is_here = is_loopback(_address_of(request)) and (
        "x-forwarded-for" not in request.headers or service.settings.proxies
    )
    if service.settings.is_open and not is_here:
        raise Problem(
            "unauthorised",
            "expected to be asked for metrics from this machine, or with a token; set API_TOKENS or API_OIDC_ISSUER",
            {"WWW-Authenticate": 'Bearer realm="lesionlens"'},
        )


def _address_of(request: Request) -> str:
    return request.client.host if request.client else "unknown"


async def within_rate(client: Client, service: ServiceOf) -> None:
    """Takes one image's worth of the client's rate; raises Problem `rate_limited`."""
    service.rate_limit.take(client)


async def held(request: Request, service: ServiceOf) -> AsyncIterator[None]:
    """Room for the request until it is answered, taken as it arrives (`model.server.bodies.read_body`).

    Raises:
        Problem: `request_too_large` or `overloaded`, unread.
    """
    check_announced_size(request)
    with service.admission.held() as hold:
        request.state.hold = hold
        yield
