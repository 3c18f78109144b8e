"""Every place the network can run, against real local servers: the same forward pass as in this process."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import fields
from functools import cache

import numpy as np
import pytest

from model.analysis.analyzer import Analyzer
from model.analysis.answers import AnswerMalformed
from model.images.decoding import decode_image
from model.images.framing import AS_FRAMED, Preparation, to_network_input
from model.images.rejection import RgbImage
from model.inference.artifact import DEFAULT_ARTIFACT, Artifact, load_artifact
from model.inference.classifier import NetworkOutput
from model.inference.runtimes import LiteRTClassifier
from model.remote.classifier import Endpoint, Patience, RemoteClassifier, as_png
from model.remote.endpoints import HttpEndpoint, VertexEndpoint, open_endpoint
from model.remote.failures import RemoteUnavailable, TransientFailure
from tests.support.artifacts import artifact_that_prepares
from tests.support.endpoints import Received, Reply, lambda_process, passing_on, serving, wait_for_first
from tests.support.files.fundus import fundus
from tests.support.server import TOKEN, black_image, running_server, sample

pytest_plugins = ("tests.support.servers.s3_server",)

LONG = Patience(answer=60)  # other work may share the processors
PREPARATION = Preparation("band", "local_average")
QUICK = Patience(connect=1, answer=0.4, attempts=2, pause=0.01, rest=0)


@cache
def artifact() -> Artifact:
    return load_artifact(DEFAULT_ARTIFACT)


@cache
def network_input() -> RgbImage:
    return to_network_input(decode_image(sample()), artifact().height, artifact().width)[0]


@pytest.fixture(scope="module", params=["framed", "prepared"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Artifact]:
    """What lies here and runs there: weights whose images are framed alone, and such whose images are prepared."""
    if request.param == "framed":
        yield artifact()
        return
    folder = artifact_that_prepares(tmp_path_factory.mktemp("weights") / "skin", PREPARATION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_DIR", str(folder))
        yield load_artifact(folder)


def assert_same_forward_pass(endpoint: Endpoint, served: Artifact) -> None:
    image = fundus()
    sent, _ = served.network_input(image)
    # Prepared a second time it would be another image.
    assert (served.network_input(sent)[0] == sent).all() == (served.preparation == AS_FRAMED)
    output = RemoteClassifier(served, endpoint, LONG).forward(sent)
    local = LiteRTClassifier(served).forward(sent)
    for field in fields(NetworkOutput):
        received, expected = getattr(output, field.name), getattr(local, field.name)
        assert received.dtype == np.float32
        np.testing.assert_allclose(received, expected, atol=1e-5, err_msg=field.name)


# The real contracts


@pytest.fixture(scope="module")
def api(served: Artifact) -> Iterator[str]:
    """The API with SageMaker's and Vertex AI's routes."""
    with running_server(
        "serve", API_WORKERS="1", API_TOKENS=TOKEN, AIP_HTTP_PORT="8080", AIP_PREDICT_ROUTE="/vertex"
    ) as (_, address):
        yield address


def test_api_gives_the_same_forward_pass(api: str, served: Artifact) -> None:
    assert_same_forward_pass(open_endpoint(api, TOKEN, LONG), served)


def test_api_answers_an_upload_as_this_process_does(api: str, served: Artifact) -> None:
    remote = Analyzer(RemoteClassifier(served, open_endpoint(api, TOKEN, LONG), LONG))
    here = Analyzer(LiteRTClassifier(served))
    received, expected = (analyzer.run(sample()).answered.prediction for analyzer in (remote, here))
    np.testing.assert_allclose(received.probabilities, expected.probabilities, atol=1e-6)
    assert remote.run(black_image()).quality == here.run(black_image()).quality


def test_api_refuses_another_token(api: str) -> None:
    with pytest.raises(RemoteUnavailable, match="401; check CLASSIFIER_TOKEN"):
        open_endpoint(api, "not-the-token", LONG).ask(as_png(network_input(), artifact()))


def test_sagemaker_gives_the_same_forward_pass(
    api: str, served: Artifact, aws_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(passing_on(f"{api}/invocations")) as (address, received):
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", address)
        assert_same_forward_pass(open_endpoint("sagemaker:skin-1", patience=LONG), served)
    (request,) = received
    assert (request.method, request.path) == ("POST", "/endpoints/skin-1/invocations")


def test_vertex_gives_the_same_forward_pass(api: str, served: Artifact) -> None:
    with serving(passing_on(f"{api}/vertex")) as (address, received):
        assert_same_forward_pass(VertexEndpoint("clinic", "europe-west4", "12", "given", LONG, address), served)
    (request,) = received
    assert request.path == "/v1/projects/clinic/locations/europe-west4/endpoints/12:predict"
    assert request.headers["authorization"] == "Bearer given"


def test_lambda_gives_the_same_forward_pass(
    served: Artifact, aws_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        lambda_process() as call,
        serving(lambda request: Reply(call(request.body))) as (address, received),
    ):
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", address)
        assert_same_forward_pass(open_endpoint("lambda:lesions", patience=LONG), served)
    (request,) = received
    assert (request.method, request.path) == ("POST", "/2015-03-31/functions/lesions/invocations")


# Vertex AI's token


def test_vertex_asks_the_machine_for_a_token_once() -> None:
    def reply(request: Received) -> Reply:
        if request.path.startswith("/computeMetadata"):
            assert request.headers["metadata-flavor"] == "Google"
            return Reply(json.dumps({"access_token": "from-machine", "expires_in": 3599}).encode())
        return Reply(b'{"predictions": [{"answer": {"a": 1}, "problem": null}]}')

    with serving(reply) as (address, received):
        endpoint = VertexEndpoint("p", "l", "e", None, QUICK, address, metadata_address=address)
        assert [json.loads(endpoint.ask(b"png")) for _ in range(2)] == [{"a": 1}] * 2
    assert [request.method for request in received] == ["GET", "POST", "POST"]
    assert received[2].headers["authorization"] == "Bearer from-machine"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"<html>"), Reply(b"[]"), Reply(b'{"access_token": "x", "expires_in": "soon"}'), Reply(status=404),
        Reply(status=503),
    ],
    ids=["html", "list", "no time", "404", "503"],
)  # fmt: skip
def test_vertex_without_a_usable_token_says_what_to_do(reply: Reply) -> None:
    with serving(lambda request: reply) as (address, _):
        endpoint = VertexEndpoint("p", "l", "e", None, QUICK, address, metadata_address=address)
        with pytest.raises(RemoteUnavailable, match="CLASSIFIER_TOKEN"):
            endpoint.ask(b"png")


@pytest.mark.parametrize(
    ("item", "error"),
    [
        ({"problem": {"status": 503}}, TransientFailure),
        ({"problem": {"status": 422}}, RemoteUnavailable),
        ({"problem": {}}, AnswerMalformed),
        ("text", AnswerMalformed),
    ],
)
def test_vertex_problem_inside_an_answer_is_an_error(item: object, error: type[Exception]) -> None:
    with serving(lambda request: Reply(json.dumps({"predictions": [item]}).encode())) as (address, _):
        with pytest.raises(error):
            VertexEndpoint("p", "l", "e", "t", QUICK, address).ask(b"png")


# Servers that fail, by contract


def endpoint_at(kind: str, address: str, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    if kind == "http":
        return HttpEndpoint(f"{address}/v1/predict", None, QUICK)
    if kind == "vertex":
        return VertexEndpoint("p", "l", "e", "token", QUICK, address)
    service = "SAGEMAKER_RUNTIME" if kind == "sagemaker" else "LAMBDA"
    monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", address)
    return open_endpoint(f"{kind}:name", patience=QUICK)


KINDS = pytest.mark.parametrize("kind", ["http", "vertex", "sagemaker", "lambda"])
ERRORS = [
    (Reply(b"{}", 429, {"Retry-After": "2"}), TransientFailure),
    (Reply(b"{}", 500), TransientFailure),
    (Reply(b"{}", 503), TransientFailure),
    (Reply(b"{}", 403), RemoteUnavailable),
    (Reply(b"{}", 404), RemoteUnavailable),
    (Reply(b"", 302, {"Location": "http://127.0.0.1:9/"}), RemoteUnavailable),
    (Reply(b"x" * 4000, cut=100), TransientFailure),
    (Reply(b"{}", pause=2), RemoteUnavailable),
]


@KINDS
@pytest.mark.parametrize(("reply", "error"), ERRORS, ids=["429", "500", "503", "403", "404", "302", "cut", "slow"])
def test_failing_server_is_the_right_error(
    kind: str,
    reply: Reply,
    error: type[Exception],
    aws_credentials: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(lambda request: reply) as (address, received):
        with pytest.raises(error) as raised:
            endpoint_at(kind, address, monkeypatch).ask(b"png")
        # Who gives up early may do so before a busy server has read the request.
        wait_for_first(received)
    assert len(received) == 1  # one attempt
    assert address not in str(raised.value)


@KINDS
def test_server_that_is_not_there_may_be_there_at_the_next_attempt(
    kind: str, aws_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda request: Reply()) as (address, _):
        pass
    with pytest.raises(TransientFailure):
        endpoint_at(kind, address, monkeypatch).ask(b"png")


def test_answer_that_trickles_in_is_cut_off_at_the_deadline() -> None:
    with serving(lambda request: Reply(b"x" * 40, pause=0.1, pieces=40)) as (address, _):
        with pytest.raises(RemoteUnavailable, match=r"within 0\.4 s"):
            HttpEndpoint(f"{address}/v1/predict", None, QUICK).ask(b"png")


@KINDS
def test_endless_answer_is_not_read_to_its_end(
    kind: str, aws_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.remote.endpoints.MAX_ANSWER_BYTES", 1000)
    monkeypatch.setattr("model.remote.aws.MAX_ANSWER_BYTES", 1000)
    with serving(lambda request: Reply(b"x" * 100_000)) as (address, _):
        with pytest.raises(AnswerMalformed, match="at most 1000 bytes"):
            endpoint_at(kind, address, monkeypatch).ask(b"png")


def test_sagemaker_says_what_its_container_said(aws_credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"OriginalStatusCode": 429, "OriginalMessage": "x", "Message": "x"}
    reply = Reply(json.dumps(body).encode(), 424, {"x-amzn-ErrorType": "ModelError"})
    with serving(lambda request: reply) as (address, _):
        with pytest.raises(TransientFailure, match="429"):
            endpoint_at("sagemaker", address, monkeypatch).ask(b"png")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(b'{"errorMessage": "secret"}', headers={"X-Amz-Function-Error": "Unhandled"}), TransientFailure),
        (Reply(b'{"statusCode": 503, "body": ""}'), TransientFailure),
        (Reply(b'{"statusCode": 401, "body": ""}'), RemoteUnavailable),
        (Reply(b"null"), AnswerMalformed),
        (Reply(b'{"statusCode": 200, "body": "*", "isBase64Encoded": true}'), AnswerMalformed),
    ],
)
def test_lambda_failure_inside_its_answer_is_an_error(
    reply: Reply, error: type[Exception], aws_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda request: reply) as (address, _):
        with pytest.raises(error) as raised:
            endpoint_at("lambda", address, monkeypatch).ask(b"png")
    assert "secret" not in str(raised.value)


def test_lambda_is_given_the_token_and_may_answer_in_base64(
    aws_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"statusCode": 200, "body": base64.b64encode(b"content").decode(), "isBase64Encoded": True}
    with serving(lambda request: Reply(json.dumps(answer).encode())) as (address, received):
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", address)
        assert open_endpoint("lambda:name", "token", QUICK).ask(b"png") == b"content"
    assert json.loads(received[0].body)["headers"]["authorization"] == "Bearer token"


def test_aws_without_credentials_says_what_to_do(aws_credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(RemoteUnavailable, match="AWS credentials"):
        open_endpoint("sagemaker:name", patience=QUICK).ask(b"png")


# Locations


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("https://api.example/", "the server api.example"),
        ("http://127.0.0.1:8080/lesions/v1/predict", "the server 127.0.0.1:8080"),
        ("sagemaker:skin-1", "the SageMaker endpoint skin-1"),
        ("vertex:my-project/europe-west4/123", "the Vertex AI endpoint 123 in europe-west4"),
        ("lambda:lesions:live", "the Lambda function lesions:live"),
    ],
)
def test_location_names_an_endpoint(location: str, name: str) -> None:
    assert open_endpoint(location).name == name


@pytest.mark.parametrize(
    "location",
    [
        "keras", "http:", "https://", "https://user:password@host", "https://host/?token=x", "https://host:port",
        "sagemaker:", "sagemaker:a b", "vertex:project/location", "vertex:p/l/e/f", "lambda:", "ftp://host",
    ],
)  # fmt: skip
def test_other_locations_are_refused_without_repeating_them(location: str) -> None:
    with pytest.raises(ValueError, match="expected https://host") as raised:
        open_endpoint(location)
    assert "password" not in str(raised.value)


@pytest.mark.parametrize("path", ["", "/", "/v1/predict", "/v1/predict/"])
def test_address_may_name_the_route_or_not(path: str) -> None:
    with serving(lambda request: Reply(b"content")) as (address, received):
        assert open_endpoint(address + path, "token", QUICK).ask(b"png") == b"content"
    asked = "/v1/predict?heatmap=maps&prepared=true"
    assert (received[0].path, received[0].headers["authorization"]) == (asked, "Bearer token")
