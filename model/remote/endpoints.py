"""The places where the network can run, by the words that name them.

    https://host/…                          a server of /v1/predict, `python -m model.server`
    vertex:project/location/endpoint        a Vertex AI endpoint
    sagemaker:endpoint-name                 a SageMaker endpoint
    lambda:function-name                    an AWS Lambda function, `model.server.aws_lambda`

Credentials for AWS come from boto3's own chain. For Vertex AI the token comes from the metadata server of the machine
(Cloud Run, Compute Engine, GKE): one request, where google-auth would add four packages to the dashboard. Elsewhere a
token may be given; Google's live for an hour.

Source:
    https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/predict
    https://cloud.google.com/compute/docs/access/authenticate-workloads#applications
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import urllib3

from model.analysis.answers import AnswerMalformed
from model.remote.aws import LambdaEndpoint, SageMakerEndpoint
from model.remote.classifier import MAX_ANSWER_BYTES, Endpoint, Patience
from model.remote.failures import RemoteUnavailable, TransientFailure, check_status, too_slow

GOOGLE_METADATA = "http://metadata.google.internal"
_TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
# A token is renewed this long before it ends.
_TOKEN_MARGIN_SECONDS = 60
_CHUNK_BYTES = 65536
_PREDICT = "/v1/predict"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
# A name, or an ARN with a version or an alias.
_FUNCTION = re.compile(r"[A-Za-z0-9_:$-]{1,170}")
_VERTEX = re.compile(r"(?P<project>[a-z0-9:.-]+)/(?P<location>[a-z0-9-]+)/(?P<endpoint>[A-Za-z0-9_-]+)")
_EXPECTED = "https://host, sagemaker:endpoint-name, vertex:project/location/endpoint or lambda:function-name"


def open_endpoint(location: str, token: str | None = None, patience: Patience | None = None) -> Endpoint:
    """The endpoint that a location names. Connects to nothing yet.

    Args:
        location: as in this module's docstring.
        token: bearer token for /v1/predict and Lambda, or an access token for Vertex AI; None where none is needed.
        patience: time-outs.

    Raises:
        ValueError: a location of another form.
    """
    patience = patience or Patience()
    kind, _, rest = location.partition(":")
    if kind in ("http", "https"):
        return HttpEndpoint(_address(location), token, patience)
    if kind == "sagemaker" and _NAME.fullmatch(rest):
        return SageMakerEndpoint(rest, patience)
    if kind == "lambda" and _FUNCTION.fullmatch(rest):
        return LambdaEndpoint(rest, token, patience)
    if kind == "vertex" and (match := _VERTEX.fullmatch(rest)):
        return VertexEndpoint(**match.groupdict(), token=token, patience=patience)
    # Not what was received: an address may hold a password.
    raise ValueError(f"expected {_EXPECTED}, received something else; correct it")


class HttpEndpoint:
    """A server of /v1/predict."""

    def __init__(self, address: str, token: str | None, patience: Patience) -> None:
        self.name = f"the server {urlsplit(address).netloc}"
        self._url = f"{address}?heatmap=maps&prepared=true"
        self._token = token
        self._connection = _Connection(self.name, patience)

    def ask(self, png: bytes) -> bytes:
        return self._connection.post(self._url, png, {"Content-Type": "image/png", **bearer(self._token)})


class VertexEndpoint:
    """A Vertex AI endpoint over HTTPS.

    Args:
        project, location, endpoint: as in its resource name.
        token: an access token; None to ask the machine's metadata server.
        patience: time-outs.
        address: of the service; by default the location's own.
        metadata_address: of the metadata server.
    """

    def __init__(
        self,
        project: str,
        location: str,
        endpoint: str,
        token: str | None,
        patience: Patience,
        address: str | None = None,
        metadata_address: str = GOOGLE_METADATA,
    ) -> None:
        self.name = f"the Vertex AI endpoint {endpoint} in {location}"
        service = address or f"https://{location}-aiplatform.googleapis.com"
        self._url = f"{service}/v1/projects/{project}/locations/{location}/endpoints/{endpoint}:predict"
        self._connection = _Connection(self.name, patience)
        self._given_token = token
        self._metadata_address = metadata_address
        self._token: tuple[str, float] = ("", 0.0)

    def ask(self, png: bytes) -> bytes:
        instance = {"b64": base64.b64encode(png).decode("ascii")}
        body = json.dumps({"instances": [instance], "parameters": {"heatmap": "maps", "prepared": True}}).encode()
        headers = {"Content-Type": "application/json", **bearer(self._given_token or self._machine_token())}
        return self._only_answer(self._connection.post(self._url, body, headers))

    def _only_answer(self, content: bytes) -> bytes:
        try:
            (item,) = json.loads(content)["predictions"]
            answer, problem = item.get("answer"), item.get("problem")
            status = 200 if problem is None else int(problem["status"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise AnswerMalformed("expected one prediction of Vertex AI, received something else") from error
        check_status(self.name, status)
        return json.dumps(answer).encode()

    def _machine_token(self) -> str:
        token, ends = self._token
        if time.monotonic() < ends - _TOKEN_MARGIN_SECONDS:
            return token
        try:
            content = self._connection.get(f"{self._metadata_address}{_TOKEN_PATH}", {"Metadata-Flavor": "Google"})
            received = json.loads(content)
            token, seconds = str(received["access_token"]), float(received["expires_in"])
        except (ValueError, KeyError, TypeError, TransientFailure, RemoteUnavailable) as error:
            raise RemoteUnavailable(
                "expected an access token from Google's metadata server, received none; "
                "run on Google Cloud with a service account, or set CLASSIFIER_TOKEN"
            ) from error
        self._token = (token, time.monotonic() + seconds)
        return token


class _Connection:
    """Requests with limits on time and size; connections are kept and shared by threads."""

    def __init__(self, name: str, patience: Patience) -> None:
        self._name = name
        self._patience = patience
        self._pool = urllib3.PoolManager(maxsize=16)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        return self._request("POST", url, body, headers)

    def get(self, url: str, headers: Mapping[str, str]) -> bytes:
        return self._request("GET", url, None, headers)

    def _request(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        """The body of a response of status 200; raises as `Endpoint.ask`."""
        deadline = time.monotonic() + self._patience.answer
        timeout = urllib3.Timeout(connect=self._patience.connect, read=self._patience.answer)
        try:
            response = self._pool.request(
                method, url, body=body, headers=dict(headers), timeout=timeout,
                retries=False, redirect=False, preload_content=False, decode_content=False,
            )  # fmt: skip
            content = self._read(response, deadline)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise too_slow(self._name, self._patience.answer) from error
        except urllib3.exceptions.SSLError as error:
            raise RemoteUnavailable(f"expected a valid certificate from {self._name}; check its address") from error
        except urllib3.exceptions.HTTPError as error:
            raise TransientFailure(type(error).__name__) from error
        check_status(self._name, response.status, response.headers.get("retry-after", ""))
        return content

    def _read(self, response: Any, deadline: float) -> bytes:
        """A body as it comes: one that trickles in is cut off at the deadline, a huge one at its limit."""
        content = bytearray()
        try:
            while chunk := response.read1(_CHUNK_BYTES):
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise AnswerMalformed(f"expected an answer of at most {MAX_ANSWER_BYTES} bytes, received more")
                if time.monotonic() > deadline:
                    raise too_slow(self._name, self._patience.answer)
        except BaseException:
            response.close()  # what is left of it must not be taken for the next answer
            raise
        response.release_conn()
        return bytes(content)


def bearer(token: str | None) -> dict[str, str]:
    """The header of a bearer token, if there is one."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _address(location: str) -> str:
    """The address of /v1/predict on a server; raises ValueError where it holds more than a place."""
    try:
        parts = urlsplit(location)
        is_place = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_place = False
    if not is_place or parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("expected https://host without user, query or fragment, received something else; correct it")
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path if path.endswith(_PREDICT) else path + _PREDICT}"
