"""The HTTP API with the committed weights: what it answers, what it refuses, and how it says so."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from data.tasks.skin import SKIN
from model.analysis.analyzer import Analyzer
from model.analysis.answers import Answer, network_output, read_answer
from model.images.decoder import Decoder
from model.images.rejection import MAX_BYTES
from model.inference.artifact import DEFAULT_ARTIFACT, load_artifact, write_section
from model.inference.runtimes import LiteRTClassifier
from model.server import bodies as server_bodies
from model.server.app import create_app
from model.server.bodies import MAX_BATCH, MAX_BODY_BYTES
from model.server.bundle import copy_artifact
from model.server.service import Service
from model.server.settings import ServerSettings
from tests.support.files import costly
from tests.support.server import assert_problem, black_image, client_of, open_app, predict, sample, send


@pytest.fixture
def app() -> FastAPI:
    return open_app()


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def form(*contents: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("image", ("anna_mueller.jpg", content, "image/jpeg")) for content in contents]


# --- Answers ---------------------------------------------------------------------------------------------------------


def test_answer_is_the_analyzer_s(app: FastAPI) -> None:
    expected = Analyzer(LiteRTClassifier(load_artifact(DEFAULT_ARTIFACT))).run(sample()).answered.prediction
    answer = predict(app, sample()).json()
    assert answer["prediction"] == expected.dx
    assert answer["probabilities"] == dict(zip(SKIN.codes, expected.probabilities, strict=True))
    assert answer["conformal_set"] == {
        "level": 0.9,
        "method": "prior-weighted",
        "classes": list(expected.conformal_set),
    }
    assert [point["is_flagged"] for point in answer["operating_points"]] == [True, True]


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "application/octet-stream", "application/x-image"])
def test_image_is_taken_as_it_is_whatever_its_type_says(app: FastAPI, kind: str) -> None:
    response = send(app, "POST", "/v1/predict", content=sample(), headers={"content-type": kind})
    assert (response.status_code, response.json()["prediction"]) == (200, "mel")


def test_form_and_json_give_the_same_answer(app: FastAPI) -> None:
    answers = [
        predict(app, sample()),
        send(app, "POST", "/v1/predict", files=form(sample())),
        send(app, "POST", "/v1/predict", json={"image": encoded(sample())}),
    ]
    assert all(answer.status_code == 200 for answer in answers)
    assert len({json.dumps(answer.json()["probabilities"]) for answer in answers}) == 1


@pytest.mark.parametrize(
    "start", ["", "data:image/jpeg;base64,", "data:;base64,", "DATA:image/jpeg;name=a.jpg;base64,"]
)
@pytest.mark.parametrize("line", ["\n", "\r\n", " "])
def test_base64_is_taken_in_lines_and_as_data_uri(app: FastAPI, start: str, line: str) -> None:
    text = encoded(sample())
    body = {"image": start + line.join(text[i : i + 76] for i in range(0, len(text), 76)) + line}
    response = send(app, "POST", "/v1/predict", json=body)
    assert (response.status_code, response.json()["prediction"]) == (200, "mel")


@pytest.mark.parametrize("path", ["/lesions/v1/predict", "/v1/predict"])
def test_routes_answer_behind_a_base_path_and_without(path: str) -> None:
    app = create_app(ServerSettings(rate_per_minute=0, workers=1, base_path="/lesions"))
    assert predict(app, sample(), path).json()["prediction"] == "mel"
    assert_problem(predict(app, sample(), f"/others{path}"), 404, "not_found")
    assert_problem(predict(app, sample(), "/lesionsv1/predict"), 404, "not_found")
    assert 'route="/v1/predict",status="200"' in send(app, "GET", "/lesions/metrics").text


def test_dicom_is_taken(app: FastAPI) -> None:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    pixels = np.asarray(Image.open(io.BytesIO(sample())).convert("RGB"))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.4", generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.PatientName = meta.MediaStorageSOPClassUID, "MUELLER^ANNA"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixels.tobytes()
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    response = send(app, "POST", "/v1/predict", content=file.getvalue(), headers={"content-type": "application/dicom"})
    assert (response.status_code, response.json()["prediction"]) == (200, "mel")
    assert "MUELLER" not in response.text


def test_refused_image_is_an_answer_without_label(app: FastAPI) -> None:
    response = predict(app, black_image())
    answer = response.json()
    assert (response.status_code, answer["refusal"], answer["prediction"]) == (200, "too_dark", None)
    assert "take it again" in answer["quality"]["advice"]
    assert answer["operating_points"] == []


def test_overlay_comes_when_asked_for(app: FastAPI) -> None:
    png = base64.b64decode(predict(app, sample(), "/v1/predict?heatmap=png").json()["overlay"]["png"])
    assert Image.open(io.BytesIO(png)).size == (600, 450)
    response = send(app, "POST", "/v1/heatmap", files=form(sample()))
    assert (response.headers["content-type"], response.content) == ("image/png", png)
    assert "too_dark" in assert_problem(predict(app, black_image(), "/v1/heatmap"), 422, "refused")["detail"]


def test_forward_pass_comes_when_asked_for(app: FastAPI) -> None:
    """What a remote runtime does: the network's input as PNG, its output back to the last bit."""
    classifier = LiteRTClassifier(load_artifact(DEFAULT_ARTIFACT))
    network_input = Analyzer(classifier).run(sample()).network_input
    file = io.BytesIO()
    Image.fromarray(network_input).save(file, "PNG")
    body = {"image": encoded(file.getvalue()), "heatmap": "maps"}
    received = network_output(read_answer(send(app, "POST", "/v1/predict", json=body).content, SKIN), SKIN)
    expected = classifier.forward(network_input)
    for name, array in vars(expected).items():
        np.testing.assert_array_equal(getattr(received, name), array)


def test_batch_gives_each_image_its_own_result_in_order(app: FastAPI) -> None:
    contents = [sample(), b"no image", black_image(), sample("synthetic_nv_1.jpg")]
    by_form = send(app, "POST", "/v1/predict/batch?heatmap=png", files=form(*contents))
    body = {"images": [encoded(content) for content in contents], "heatmap": "png"}
    by_json = send(app, "POST", "/v1/predict/batch", json=body)
    for response in (by_form, by_json):
        first, second, third, fourth = response.json()["results"]
        assert (first["answer"]["prediction"], fourth["answer"]["prediction"]) == ("mel", "nv")
        assert first["answer"]["overlay"] is not None
        assert (second["answer"], second["problem"]["reason"]) == (None, "not_an_image")
        assert second["problem"]["request_id"] == response.headers["x-request-id"]
        assert (third["answer"]["refusal"], third["problem"]) == ("too_dark", None)


def test_requests_that_arrive_together_get_the_answers_of_one_by_one(app: FastAPI) -> None:
    names = ["synthetic_mel_1.jpg", "synthetic_nv_1.jpg", "synthetic_bcc_1.jpg", "synthetic_vasc_1.jpg"]
    expected = [predict(app, sample(name)).json()["probabilities"] for name in names]

    async def together() -> list[httpx.Response]:
        headers = {"content-type": "image/jpeg"}
        async with client_of(app) as client:
            calls = (client.post("/v1/predict", content=sample(name), headers=headers) for name in names * 5)
            return list(await asyncio.gather(*calls))

    assert [response.json()["probabilities"] for response in asyncio.run(together())] == expected * 5


# --- Refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (b"", 422, "empty"),
        (b"hello", 422, "not_an_image"),
        (b"%PDF-1.7", 422, "not_an_image"),
        (sample()[:20_000], 422, "damaged"),
        (b"\0" * 128 + b"DICM" + b"\0" * 50, 422, "damaged"),
        (b"\xff" * (MAX_BYTES + 1), 413, "too_many_bytes"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_image_that_cannot_be_read_is_a_problem(app: FastAPI, content: bytes, status: int, reason: str) -> None:
    assert_problem(predict(app, content), status, reason)


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "image", "application/pdf", "multipart/mixed"]
)
def test_other_content_types_are_told_what_is_taken(app: FastAPI, kind: str) -> None:
    response = send(app, "POST", "/v1/predict", content=sample(), headers={"content-type": kind})
    assert "image/*" in assert_problem(response, 415, "unsupported_media_type")["detail"]


def test_batch_takes_no_bare_image(app: FastAPI) -> None:
    assert_problem(predict(app, sample(), "/v1/predict/batch"), 415, "unsupported_media_type")


def test_compressed_body_is_refused(app: FastAPI) -> None:
    assert_problem(predict(app, sample(), **{"content-encoding": "gzip"}), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/predict", b"{"),
        ("/v1/predict", b"\xff\xfe"),
        ("/v1/predict", b"[" * 100_000),
        ("/v1/predict", b"[]"),
        ("/v1/predict", b"{}"),
        ("/v1/predict", b'{"image": null}'),
        ("/v1/predict", b'{"image": ["AAAA"]}'),
        ("/v1/predict", b'{"image": "no base64!"}'),
        ("/v1/predict", b'{"image": "AAA"}'),
        ("/v1/predict", '{"image": "\u00e4"}'.encode()),
        ("/v1/predict", b'{"image": "AAAA", "heatmap": "jet"}'),
        ("/v1/predict", b'{"image": "AAAA", "heatmap": ["png"]}'),
        ("/v1/predict", b'{"image": "AAAA", "heatmap": null}'),
        ("/v1/predict/batch", b'{"images": "AAAA"}'),
        ("/v1/predict/batch", b'{"images": []}'),
        ("/v1/predict/batch", b'{"images": [1]}'),
        ("/v1/predict/batch", json.dumps({"images": ["AAAA"] * (MAX_BATCH + 1)}).encode()),
        ("/v1/predict", b'{"image": "data:image/jpeg,AAAA"}'),
        ("/v1/predict", b'{"image": "data:image/jpeg;base64,no base64!"}'),
    ],
)
def test_json_that_is_not_as_documented_is_a_problem(app: FastAPI, path: str, body: bytes) -> None:
    response = send(app, "POST", path, content=body, headers={"content-type": "application/json"})
    assert_problem(response, 422, "invalid_request")


def test_json_of_millions_of_values_is_refused_before_it_is_read(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    def loads(body: bytes) -> None:
        raise AssertionError("expected no reading")

    monkeypatch.setattr(server_bodies, "json", SimpleNamespace(loads=loads))
    for body in ('{"images": [' + '"",' * 1001 + '""]}', '{"images": [' + "{}," * 1001 + "{}]}"):
        for encoding in ("utf-8", "utf-16", "utf-32"):
            content, headers = body.encode(encoding), {"content-type": "application/json"}
            response = send(app, "POST", "/v1/predict/batch", content=content, headers=headers)
            assert "1,000 commas" in assert_problem(response, 422, "invalid_request")["detail"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"files": form(b"a", b"b")},
        {"files": form(*[b"a"] * (MAX_BATCH + 1))},
        {"files": {"heatmap": (None, "png")}},
        {"files": form(b"a"), "data": {"heatmap": "jet"}},
        {"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"content": b"nonsense", "headers": {"content-type": "multipart/form-data"}},
        {"content": b"nonsense", "headers": {"content-type": "multipart/form-data; boundary=x"}},
    ],
)
def test_form_that_is_not_as_documented_is_a_problem(app: FastAPI, arguments: dict[str, Any]) -> None:
    assert_problem(send(app, "POST", "/v1/predict", **arguments), 422, "invalid_request")


def test_unknown_parameter_value_is_not_repeated(app: FastAPI) -> None:
    problem = assert_problem(predict(app, sample(), "/v1/predict?heatmap=Mueller"), 422, "invalid_request")
    assert "heatmap" in problem["detail"] and "Mueller" not in problem["detail"]


def test_unknown_address_and_method_are_problems(app: FastAPI) -> None:
    assert_problem(send(app, "GET", "/Mueller"), 404, "not_found")
    response = send(app, "GET", "/v1/predict")
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


def test_platforms_routes_do_not_exist_elsewhere(app: FastAPI) -> None:
    assert_problem(send(app, "GET", "/ping"), 404, "not_found")
    assert_problem(predict(app, sample(), "/invocations"), 404, "not_found")


# --- Limits ----------------------------------------------------------------------------------------------------------


def unread() -> AsyncIterator[bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    return chunks()


def test_announced_size_is_refused_unread(app: FastAPI) -> None:
    headers = {"content-type": "image/jpeg", "content-length": str(MAX_BODY_BYTES + 1)}
    response = send(app, "POST", "/v1/predict", content=unread(), headers=headers)
    assert_problem(response, 413, "request_too_large")


def test_unannounced_size_is_refused_while_it_comes(app: FastAPI) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"\0" * 2**20

    assert_problem(predict(app, endless()), 413, "request_too_large")  # type: ignore[arg-type]
    assert sent <= MAX_BODY_BYTES // 2**20 + 2


def test_slow_client_is_not_waited_for(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_bodies, "READ_SECONDS", 0.05)

    async def slow() -> AsyncIterator[bytes]:
        yield sample()[:100]
        await asyncio.sleep(30)
        yield sample()[100:]

    assert_problem(predict(app, slow()), 408, "request_timeout")  # type: ignore[arg-type]


def test_client_that_sends_too_many_images_is_told_when_to_come_back() -> None:
    app = create_app(ServerSettings(rate_per_minute=3, workers=1))
    assert send(app, "POST", "/v1/predict/batch", files=form(sample(), sample())).status_code == 200
    assert predict(app, sample()).status_code == 200
    response = predict(app, sample())
    assert_problem(response, 429, "rate_limited")
    assert 1 <= int(response.headers["retry-after"]) <= 20


def test_more_requests_than_fit_are_asked_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(ServerSettings(rate_per_minute=0, max_waiting=1, workers=1))
    is_held, may_end, answer = asyncio.Event(), asyncio.Event(), Service.answer

    async def held(service: Service, *arguments: Any) -> Answer:
        is_held.set()
        await may_end.wait()
        return await answer(service, *arguments)

    monkeypatch.setattr(Service, "answer", held)

    async def both() -> tuple[httpx.Response, httpx.Response]:
        headers = {"content-type": "image/jpeg"}
        async with client_of(app) as client:
            first = asyncio.create_task(client.post("/v1/predict", content=sample(), headers=headers))
            await is_held.wait()
            second = await client.post("/v1/predict", content=sample(), headers=headers)
            may_end.set()
            return await first, second

    first, second = asyncio.run(both())
    assert first.status_code == 200
    assert_problem(second, 503, "overloaded")
    assert second.headers["retry-after"] == "1"
    assert predict(app, sample()).status_code == 200


def test_what_is_announced_and_not_sent_keeps_nobody_out() -> None:
    """Forty requests that announce 28 MB each, more than may be held, and send a byte."""
    app = create_app(ServerSettings(rate_per_minute=0, max_waiting=2, workers=1))

    async def answered() -> tuple[httpx.Response, list[httpx.Response]]:
        have_begun, may_end = [asyncio.Event() for _ in range(40)], asyncio.Event()

        async def hardly(has_begun: asyncio.Event) -> AsyncIterator[bytes]:
            yield b"\xff"
            has_begun.set()
            await may_end.wait()

        headers = {"content-type": "image/jpeg"}
        announced = {**headers, "content-length": str(MAX_BODY_BYTES)}
        async with client_of(app) as client:
            calls = [client.post("/v1/predict", content=hardly(one), headers=announced) for one in have_begun]
            silent = [asyncio.create_task(call) for call in calls]
            await asyncio.gather(*(one.wait() for one in have_begun))
            response = await client.post("/v1/predict", content=sample(), headers=headers)
            may_end.set()
            return response, await asyncio.gather(*silent)

    response, silent = asyncio.run(answered())
    assert response.status_code == 200
    assert {one.status_code for one in silent} <= {422, 503}
    assert predict(app, sample()).status_code == 200


def test_answer_that_takes_too_long_is_given_up() -> None:
    app = create_app(ServerSettings(rate_per_minute=0, workers=1, time_limit_seconds=0))
    assert_problem(predict(app, sample()), 503, "time_limit")


def test_decoding_that_takes_too_long_ends_with_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = Decoder(cpu_seconds=1000)
    decoder.open(costly.file_of(costly.picture(), "BMP"))
    assert decoder.pid is not None
    monkeypatch.setattr("model.images.decoding._DECODER", decoder)
    app = create_app(ServerSettings(rate_per_minute=0, workers=1, time_limit_seconds=4))
    response = predict(app, costly.png_with_profile(costly.profile_of_many_steps()))
    # Whichever of the two clocks is first.
    assert response.json()["reason"] in ("time_limit", "too_costly")
    until = time.monotonic() + 60
    while decoder.pid is not None and time.monotonic() < until:
        time.sleep(0.05)
    assert decoder.pid is None
    assert predict(app, sample()).status_code == 200
    decoder.close()


def test_failure_nobody_foresaw_is_a_problem_without_a_trace(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing(*arguments: Any) -> None:
        raise KeyError("anna_mueller.jpg")

    monkeypatch.setattr(Service, "answer", failing)
    problem = assert_problem(predict(app, sample()), 500, "internal_error")
    assert "anna" not in json.dumps(problem) and "KeyError" not in json.dumps(problem)


# --- Health ----------------------------------------------------------------------------------------------------------


def test_ready_server_names_its_model(app: FastAPI) -> None:
    artifact = load_artifact(DEFAULT_ARTIFACT)
    assert send(app, "GET", "/healthz").json() == {"status": "ok"}
    assert send(app, "GET", "/readyz").json() == {
        "name": artifact.name,
        "version": artifact.version,
        "weights_sha256": artifact.weights_sha256,
    }


def test_server_without_weights_lives_but_is_not_ready(tmp_path: Path) -> None:
    app = create_app(ServerSettings(model_dir=tmp_path))
    assert send(app, "GET", "/healthz").status_code == 200
    problem = assert_problem(send(app, "GET", "/readyz"), 503, "not_ready")
    assert str(tmp_path) not in problem["detail"]
    assert_problem(predict(app, sample()), 503, "not_ready")
    assert "lesionlens_model_ready 0.0" in send(app, "GET", "/metrics").text


def test_touched_file_is_hashed_again_and_a_changed_one_ends_the_answers(tmp_path: Path) -> None:
    folder = tmp_path / "skin"
    copy_artifact(DEFAULT_ARTIFACT, folder)
    app = create_app(ServerSettings(model_dir=folder, workers=1, rate_per_minute=0))
    gate = folder / "gate.npz"
    os.utime(gate, (1, 1))
    assert send(app, "GET", "/readyz").status_code == 200
    gate.write_bytes(gate.read_bytes()[:-1] + b"\1")
    assert_problem(send(app, "GET", "/readyz"), 503, "not_ready")
    assert_problem(predict(app, sample()), 503, "not_ready")


def test_other_weights_in_the_folder_wait_for_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "skin"
    copy_artifact(DEFAULT_ARTIFACT, folder)
    app = create_app(ServerSettings(model_dir=folder, workers=1))
    write_section(folder, "version", "another")
    assert_problem(send(app, "GET", "/readyz"), 503, "not_ready")


def test_removed_file_ends_readiness(tmp_path: Path) -> None:
    folder = tmp_path / "skin"
    copy_artifact(DEFAULT_ARTIFACT, folder)
    app = create_app(ServerSettings(model_dir=folder, workers=1))
    (folder / "neighbours.npz").unlink()
    assert_problem(send(app, "GET", "/readyz"), 503, "not_ready")


def test_answers_are_not_kept_by_anyone_on_the_way(app: FastAPI) -> None:
    headers = predict(app, sample()).headers
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
