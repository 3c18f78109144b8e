"""What a route asks for before it runs: the service, who is asking, and room for the request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request

from model.analysis.log_lines import RequestRecord
from model.server.bodies import announced_size
from model.server.request_log import record_of
from model.server.service import Service


# Without waiting, but `async`: FastAPI would run plain functions in a thread each.
async def _service(request: Request) -> Service:
    return request.app.state.service


async def _record(request: Request) -> RequestRecord:
    return record_of(request.scope)


ServiceOf = Annotated[Service, Depends(_service)]
RecordOf = Annotated[RequestRecord, Depends(_record)]


async def authorised_client(request: Request, service: ServiceOf) -> str:
    """A key of whoever asks; raises Problem `unauthorised` for who may not."""
    address = request.client.host if request.client else "unknown"
    return await service.authorization.client(request.headers.get("authorization"), address)


Client = Annotated[str, Depends(authorised_client)]


async def within_rate(client: Client, service: ServiceOf) -> None:
    """Takes one image's worth of the client's rate; raises Problem `rate_limited`."""
    service.rate_limit.take(client)


async def held(request: Request, service: ServiceOf) -> AsyncIterator[None]:
    """Room for the request until it is answered; raises Problem `request_too_large` or `overloaded`, unread."""
    with service.admission.held(announced_size(request)):
        yield
