"""The API as an AWS Lambda function: `model.server.aws_lambda.handler` takes API Gateway's events, version 1.0 and 2.0.

The model is loaded on import: Lambda gives a starting container more processor than a call, and starts it before the
first event. Without tokens or an issuer it starts only with ALLOW_ANONYMOUS=1, for an API Gateway that authorises.
"""

from __future__ import annotations

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from model.server.app import create_app
from model.server.problems import MEDIA_TYPE
from model.server.request_log import configure_logging
from model.server.settings import ServerSettings, check_address, server_settings


def create_handler(settings: ServerSettings) -> Mangum:
    """A handler of API Gateway's events.

    Raises:
        ServerSettingsError: nothing says who may call.
    """
    check_address(settings, "0.0.0.0")
    configure_logging(settings.has_cloudwatch_metrics)
    # Types that are not listed go as base64, the PNG among them.
    return Mangum(create_app(settings), lifespan="off", text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, MEDIA_TYPE])


handler = create_handler(server_settings())
