"""POST /v1/preprocess: what the network is shown of an image, as the served weights want it prepared."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from data.cases.storage import stored_image
from model.images.decoding import decode_image
from model.images.dicom import OPHTHALMIC_8_BIT
from model.images.framing import Preparation, to_network_input
from model.images.rejection import RgbImage
from model.server.app import create_app
from model.server.bodies import MAX_BODY_BYTES
from model.server.settings import ServerSettings
from tests.support.artifacts import artifact_that_prepares
from tests.support.dicom import dicom_file
from tests.support.files.fundus import fundus
from tests.support.server import assert_problem, black_image, open_app, predict, sample, send

PATH = "/v1/preprocess"
WAYS = ["bytes", "form", "json", "data URI"]
PREPARATION = Preparation("circle", "local_average")


@pytest.fixture
def app() -> FastAPI:
    return open_app()


@pytest.fixture(scope="module")
def circle_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """The committed networks behind a manifest that has images prepared."""
    folder = tmp_path_factory.mktemp("weights") / "skin"
    settings = ServerSettings(model_dir=artifact_that_prepares(folder, PREPARATION), rate_per_minute=0, workers=1)
    app = create_app(settings)
    yield app
    app.state.service.close()


def pixels_of(png: bytes) -> RgbImage:
    image = Image.open(io.BytesIO(png))
    assert (image.format, image.mode) == ("PNG", "RGB")
    return np.asarray(image)


def prepared(app: FastAPI, content: bytes, way: str) -> RgbImage:
    """The pixels that come back, whichever way an image is sent."""
    if way == "bytes":
        response = predict(app, content, PATH)
    elif way == "form":
        response = send(app, "POST", PATH, files=[("image", ("x.jpg", content, "image/jpeg"))])
    else:
        encoded = ("data:image/jpeg;base64," if way == "data URI" else "") + base64.b64encode(content).decode()
        response = send(app, "POST", PATH, json={"image": encoded})
        assert response.status_code == 200 and response.headers["content-type"] == "application/json"
        answer = response.json()
        pixels = pixels_of(base64.b64decode(answer.pop("image"), validate=True))
        assert answer == {"height": pixels.shape[0], "width": pixels.shape[1]}
        return pixels
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    return pixels_of(response.content)


@pytest.mark.parametrize("way", WAYS)
def test_skin_is_framed_and_no_more(app: FastAPI, way: str) -> None:
    expected, _ = to_network_input(decode_image(sample()), 192, 256)
    np.testing.assert_array_equal(prepared(app, sample(), way), expected)


@pytest.mark.parametrize("way", WAYS)
def test_images_are_prepared_as_the_weights_want_them(circle_app: FastAPI, way: str) -> None:
    expected, _ = to_network_input(fundus(), 192, 256, PREPARATION)
    np.testing.assert_array_equal(prepared(circle_app, stored_image(fundus()).content, way), expected)


def test_what_comes_back_is_what_the_network_answers_on(circle_app: FastAPI) -> None:
    pool = circle_app.state.service._ready_pool()
    content = stored_image(fundus()).content
    analysed = pool.submit(content, lambda analysis: analysis.network_input).result().value
    np.testing.assert_array_equal(prepared(circle_app, content, "bytes"), analysed)


def test_image_that_cannot_be_judged_is_prepared_all_the_same(app: FastAPI) -> None:
    assert not prepared(app, black_image(), "bytes").any()


def test_image_that_is_costly_to_decode_is_prepared_elsewhere(app: FastAPI) -> None:
    file = io.BytesIO()
    Image.open(io.BytesIO(sample())).convert("RGB").save(file, "TIFF")
    assert prepared(app, file.getvalue(), "json").shape == (192, 256, 3)


def test_what_cannot_be_read_is_the_problem_that_it_is_everywhere(app: FastAPI) -> None:
    assert_problem(predict(app, b"no image", PATH), 422, "not_an_image")
    assert_problem(predict(app, b"", PATH), 422, "empty")
    assert_problem(send(app, "POST", PATH, json={"image": "???"}), 422, "invalid_request")
    assert_problem(send(app, "POST", PATH, json={"picture": "AAAA"}), 422, "invalid_request")
    assert_problem(
        send(app, "POST", PATH, content=b"x", headers={"content-type": "text/plain"}), 415, "unsupported_media_type"
    )
    assert_problem(send(app, "GET", PATH), 405, "method_not_allowed")
    announced = {"content-type": "image/jpeg", "content-length": str(MAX_BODY_BYTES + 1)}
    assert_problem(send(app, "POST", PATH, content=b"x", headers=announced), 413, "request_too_large")


def test_preparing_counts_as_an_image_of_the_client_s_rate() -> None:
    app = create_app(ServerSettings(rate_per_minute=1, workers=1))
    assert predict(app, sample(), PATH).status_code == 200
    assert_problem(predict(app, sample(), PATH), 429, "rate_limited")
    app.state.service.close()


def test_what_was_prepared_is_answered_as_the_image_is(circle_app: FastAPI) -> None:
    """In two steps as in one, where the second says that it is the second; else it is prepared twice."""
    content = stored_image(fundus()).content
    png = predict(circle_app, content, PATH).content
    whole, second, twice = (
        predict(circle_app, sent, address, **{"content-type": "image/png"}).json()
        for sent, address in (
            (content, "/v1/predict"), (png, "/v1/predict?prepared=true"), (png, "/v1/predict")
        )
    )  # fmt: skip
    assert second["probabilities"] == whole["probabilities"] and second["quality"] == whole["quality"]
    assert twice["probabilities"] != whole["probabilities"]


@pytest.mark.parametrize("path", [PATH, "/v1/predict"])
def test_dicom_file_of_another_task_is_a_problem(app: FastAPI, path: str) -> None:
    content = dicom_file(SOPClassUID=OPHTHALMIC_8_BIT)
    response = predict(app, content, path, **{"content-type": "application/dicom"})
    assert_problem(response, 422, "other_task")
    assert "retinal photographs" in response.json()["detail"]


def test_weights_that_have_changed_prepare_nothing(tmp_path: Path) -> None:
    app = create_app(ServerSettings(model_dir=tmp_path, rate_per_minute=0, workers=1))
    assert_problem(predict(app, sample(), PATH), 503, "not_ready")
