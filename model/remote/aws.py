"""SageMaker endpoints and Lambda functions through boto3; region and credentials come from its own chain.

Source:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
    https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from model.analysis.answers import AnswerMalformed
from model.remote.classifier import MAX_ANSWER_BYTES, Patience
from model.remote.failures import RemoteUnavailable, TransientFailure, check_status, too_slow

_CHUNK_BYTES = 65536


class SageMakerEndpoint:
    """A SageMaker real-time or serverless endpoint."""

    def __init__(self, endpoint: str, patience: Patience) -> None:
        self.name = f"the SageMaker endpoint {endpoint}"
        self._endpoint = endpoint
        self._patience = patience

    def ask(self, png: bytes) -> bytes:
        with _failures(self.name, self._patience):
            response = self._client.invoke_endpoint(
                EndpointName=self._endpoint,
                Body=png,
                ContentType="image/png",
                Accept="application/json",
                CustomAttributes="heatmap=maps,prepared=true",
            )
            return _read(response["Body"])

    @cached_property
    def _client(self) -> Any:
        return _client("sagemaker-runtime", self._patience)


class LambdaEndpoint:
    """A Lambda function that takes API Gateway's events (version 2.0), invoked directly: IAM authorises the caller."""

    def __init__(self, function: str, token: str | None, patience: Patience) -> None:
        self.name = f"the Lambda function {function}"
        self._function = function
        self._token = token
        self._patience = patience

    def ask(self, png: bytes) -> bytes:
        with _failures(self.name, self._patience):
            response = self._client.invoke(FunctionName=self._function, Payload=json.dumps(self._event(png)).encode())
            content = _read(response["Payload"])
        if response.get("FunctionError"):
            # It crashed or ran out of time; its own words may hold anything.
            raise TransientFailure("the function failed")
        return self._body(content)

    def _event(self, png: bytes) -> dict[str, Any]:
        headers = {"content-type": "image/png", "host": "lambda"}
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/v1/predict",
            "rawQueryString": "heatmap=maps&prepared=true",
            "headers": headers if self._token is None else {**headers, "authorization": f"Bearer {self._token}"},
            "requestContext": {
                "stage": "$default",
                "http": {"method": "POST", "path": "/v1/predict", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
            },
            "body": base64.b64encode(png).decode("ascii"),
            "isBase64Encoded": True,
        }

    def _body(self, content: bytes) -> bytes:
        try:
            answer = json.loads(content)
            status, body = int(answer["statusCode"]), str(answer["body"]).encode()
            body = base64.b64decode(body, validate=True) if answer.get("isBase64Encoded") else body
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise AnswerMalformed("expected a response as API Gateway takes it, received something else") from error
        check_status(self.name, status)
        return body

    @cached_property
    def _client(self) -> Any:
        return _client("lambda", self._patience)


def _client(service: str, patience: Patience) -> Any:
    """One attempt a call: `RemoteClassifier` repeats what may be repeated."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        connect_timeout=patience.connect,
        read_timeout=patience.answer,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=16,
    )
    try:
        # A session of its own: the shared one is not safe between threads.
        return boto3.Session().client(service, config=config)
    except BotoCoreError as error:
        raise _wrong_set_up(error) from error


@contextlib.contextmanager
def _failures(name: str, patience: Patience) -> Iterator[None]:
    """boto3's errors as ours. Their text may hold addresses and account numbers: only their kind is passed on."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectionError,
        HTTPClientError,
        IncompleteReadError,
        ReadTimeoutError,
        SSLError,
    )

    try:
        yield
    except ClientError as error:
        # SageMaker says 424 for any failure of the container, and beside it what the container said.
        said = error.response.get("OriginalStatusCode") or error.response["ResponseMetadata"]["HTTPStatusCode"]
        status = int(said)
        check_status(name, 500 if status == 200 else status)
    except ReadTimeoutError as error:
        raise too_slow(name, patience.answer) from error
    except SSLError as error:
        raise RemoteUnavailable(f"expected a valid certificate from {name}; check the address") from error
    except (HTTPClientError, ConnectionError, IncompleteReadError) as error:
        raise TransientFailure(type(error).__name__) from error
    except BotoCoreError as error:
        raise _wrong_set_up(error) from error


def _wrong_set_up(error: Exception) -> RemoteUnavailable:
    return RemoteUnavailable(
        f"expected AWS credentials and a region that work, received {type(error).__name__}; set them as for the AWS "
        "command line"
    )


def _read(body: Any) -> bytes:
    """A body to its end: only there boto3 checks that nothing is missing."""
    content = bytearray()
    for chunk in body.iter_chunks(_CHUNK_BYTES):
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            body.close()
            raise AnswerMalformed(f"expected an answer of at most {MAX_ANSWER_BYTES} bytes, received more")
    return bytes(content)
