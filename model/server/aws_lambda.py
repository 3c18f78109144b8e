"""The API as an AWS Lambda function: `model.server.aws_lambda.handler` takes API Gateway's events, version 1.0 and 2.0.

The model is loaded on import: Lambda gives a starting container more processor than a call, and starts it before the
first event. Without tokens or an issuer it starts only with ALLOW_ANONYMOUS=1, for an API Gateway that authorises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from model.server.app import create_app
from model.server.problems import MEDIA_TYPE
from model.server.request_log import configure_logging
from model.server.settings import ServerSettings, check_address, server_settings

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def create_handler(settings: ServerSettings) -> Handler:
    """A handler of API Gateway's events.

    Raises:
        ServerSettingsError: nothing says who may call.
    """
    check_address(settings, "0.0.0.0")
    configure_logging(settings.has_cloudwatch_metrics)
    # Types that are not listed go as base64, the PNG among them.
    mangum = Mangum(create_app(settings), lifespan="off", text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, MEDIA_TYPE])
    return lambda event, context: mangum(without_stage(event), context)


def without_stage(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event whose path does not begin with the stage's name.

    API Gateway's own address does for every stage but `$default`, in events of version 2.0 alone; a domain of one's own
    has a base path instead (`API_BASE_PATH`).

    Source:
        https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    context = event.get("requestContext") or {}
    http, start = context.get("http"), f"/{context.get('stage')}"
    is_own_address = ".execute-api." in context.get("domainName", "")
    if http is None or not is_own_address or not f"{http['path']}/".startswith(f"{start}/"):
        return dict(event)
    return {**event, "requestContext": {**context, "http": {**http, "path": http["path"][len(start) :] or "/"}}}


handler = create_handler(server_settings())
