"""What is done with an answer from elsewhere: repeated, given up, or not believed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.tasks.skin import SKIN
from model.analysis.analyzer import Analyzer
from model.images.decoding import decode_image
from model.images.framing import to_network_input
from model.images.rejection import RgbImage
from model.inference.artifact import DEFAULT_ARTIFACT, Artifact, load_artifact
from model.inference.clinical import PatientFacts
from model.remote.classifier import Patience, RemoteClassifier, as_png
from model.remote.failures import RemoteMismatch, RemoteUnavailable, TransientFailure
from model.server.app import create_app
from model.server.settings import ServerSettings
from tests.support.artifacts import artifact_with_terms
from tests.support.server import black_image, open_app, predict, sample

QUICK = Patience(pause=0.001, rest=0)
Document = dict[str, Any]


@cache
def artifact() -> Artifact:
    return load_artifact(DEFAULT_ARTIFACT)


@cache
def network_input(is_black: bool = False) -> RgbImage:
    content = black_image() if is_black else sample()
    return to_network_input(decode_image(content), artifact().height, artifact().width)[0]


@cache
def true_answer(is_black: bool = False) -> bytes:
    """What the API answers to the network input of a sample."""
    png = as_png(network_input(is_black), artifact())
    return predict(open_app(), png, "/v1/predict?heatmap=maps", **{"content-type": "image/png"}).content


class ScriptedEndpoint:
    """Plays answers and failures one after the other; the last one again and again."""

    name = "the script"

    def __init__(self, *steps: bytes | Exception) -> None:
        self.steps = steps
        self.asked: list[bytes] = []

    def ask(self, png: bytes) -> bytes:
        step = self.steps[min(len(self.asked), len(self.steps) - 1)]
        self.asked.append(png)
        if isinstance(step, Exception):
            raise step
        return step


def forward(*steps: bytes | Exception, patience: Patience = QUICK) -> ScriptedEndpoint:
    endpoint = ScriptedEndpoint(*steps)
    RemoteClassifier(artifact(), endpoint, patience).forward(network_input())
    return endpoint


# What is sent


def test_input_is_sent_without_loss_and_small() -> None:
    (png,) = forward(true_answer()).asked
    np.testing.assert_array_equal(decode_image(png), network_input())
    assert len(png) < 200_000


def test_image_of_another_size_is_not_sent() -> None:
    endpoint = ScriptedEndpoint(true_answer())
    with pytest.raises(ValueError, match="to_network_input"):
        RemoteClassifier(artifact(), endpoint).forward(np.zeros((10, 10, 3), dtype=np.uint8))
    assert not endpoint.asked


def test_network_with_too_large_an_input_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="run it here"):
        RemoteClassifier(replace(artifact(), height=1024, width=1024), ScriptedEndpoint(b""))


# Attempts


def test_transient_failures_are_repeated() -> None:
    assert len(forward(TransientFailure("status 503"), TransientFailure("cut"), true_answer()).asked) == 3


def test_attempts_end() -> None:
    endpoint = ScriptedEndpoint(TransientFailure("status 503"))
    with pytest.raises(RemoteUnavailable, match=r"the script, received none in 3 attempts \(last: status 503\)"):
        RemoteClassifier(artifact(), endpoint, QUICK).forward(network_input())
    assert len(endpoint.asked) == 3


@pytest.mark.parametrize("step", [RemoteUnavailable("refused"), b"<html>"])
def test_what_would_be_the_same_again_is_not_repeated(step: bytes | Exception) -> None:
    endpoint = ScriptedEndpoint(step)
    with pytest.raises((RemoteUnavailable, RemoteMismatch)):
        RemoteClassifier(artifact(), endpoint, QUICK).forward(network_input())
    assert len(endpoint.asked) == 1


def test_pauses_double_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("model.remote.classifier.time.sleep", pauses.append)
    failures = [TransientFailure("cut")] * 3
    forward(*failures, true_answer(), patience=Patience(attempts=4, pause=1))
    for pause, most in zip(pauses, (1, 2, 4), strict=True):
        assert most / 2 <= pause <= most
    assert len({pause / most for pause, most in zip(pauses, (1, 2, 4), strict=True)}) == 3


def test_server_s_own_pause_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("model.remote.classifier.time.sleep", pauses.append)
    forward(TransientFailure("status 429", pause=2), true_answer())
    assert pauses == [2]


def test_server_that_asks_for_a_long_pause_is_not_waited_for() -> None:
    endpoint = ScriptedEndpoint(TransientFailure("status 503", pause=60))
    with pytest.raises(RemoteUnavailable, match="in 1 attempts"):
        RemoteClassifier(artifact(), endpoint, QUICK).forward(network_input())


def test_after_a_failure_nobody_asks_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("model.remote.classifier.time.monotonic", lambda: now[0])
    endpoint = ScriptedEndpoint(*[TransientFailure("cut")] * 2, true_answer())
    classifier = RemoteClassifier(artifact(), endpoint, Patience(attempts=2, pause=0.001, rest=10))
    with pytest.raises(RemoteUnavailable, match="2 attempts"):
        classifier.forward(network_input())
    now[0] += 4
    with pytest.raises(RemoteUnavailable, match="try again in 6 s"):
        classifier.forward(network_input())
    assert len(endpoint.asked) == 2
    now[0] += 6
    classifier.forward(network_input())
    assert len(endpoint.asked) == 3


# Servers that lie


def change(document: Document, name: str, edit: Callable[[np.ndarray], np.ndarray]) -> None:
    """Edit one array of a forward pass."""
    array = document["network"][name]
    values = np.frombuffer(base64.b64decode(array["base64"]), "<f4").reshape(array["shape"])
    edited = edit(values.copy()).astype("<f4")
    document["network"][name] = {
        "shape": list(edited.shape),
        "base64": base64.b64encode(edited.tobytes()).decode(),
    }


def reverse_classes(document: Document) -> None:
    for name in ("logits", "member_logits", "maps"):
        change(document, name, lambda values: values[..., ::-1])


def reverse_names(document: Document) -> None:
    document["probabilities"] = dict(reversed(document["probabilities"].items()))


def set_nan(document: Document) -> None:
    def edit(values: np.ndarray) -> np.ndarray:
        values[0, 0, 0] = np.nan
        return values

    change(document, "maps", edit)


def other_logits(document: Document) -> None:
    change(document, "logits", lambda values: values + np.eye(len(SKIN.codes))[0])


LIES: dict[str, tuple[Callable[[Document], None], str]] = {
    "other weights": (lambda document: document["model"].update(weights_sha256="0" * 64), "of another model"),
    "other version": (lambda document: document["model"].update(version="0.9"), "of another model"),
    "other name": (lambda document: document["model"].update(name="skon"), "of another model"),
    "classes reversed": (reverse_classes, "follow from the logits"),
    "names reversed": (reverse_names, "in this order"),
    "nan": (set_nan, "finite"),
    "logits of another image": (other_logits, "mean of the members'"),
    "fewer classes": (lambda document: change(document, "logits", lambda values: values[:6]), "check which model"),
    "short texture": (lambda document: change(document, "texture", lambda values: values[:9]), "embedding and texture"),
    "small maps": (lambda document: change(document, "maps", lambda values: values[:3]), "of one size"),
    "no forward pass": (lambda document: document.update(network=None), "heatmap=maps"),
    "no model": (lambda document: document.pop("model"), "model is wrong"),
    "no base64": (lambda document: document["network"]["logits"].update(base64="*"), "base64"),
}  # fmt: skip


def test_true_answer_is_believed() -> None:
    forward(true_answer())


def test_server_that_knows_no_facts_is_believed() -> None:
    document = json.loads(true_answer())
    document.pop("facts")
    forward(json.dumps(document).encode())


def test_facts_are_never_sent_but_taken_into_account_here(tmp_path: Path) -> None:
    """The weights there need no terms: what comes back is the image's alone."""
    informed = load_artifact(artifact_with_terms(tmp_path / "skin"))
    analyzer = Analyzer(RemoteClassifier(informed, ScriptedEndpoint(true_answer()), QUICK))
    alone = analyzer.run(sample())
    told = analyzer.with_facts(alone, PatientFacts(site="back"))
    assert (alone.answered.prediction.dx, told.answered.prediction.dx) == ("mel", "bcc")


def test_probabilities_with_facts_that_nobody_stated_are_not_believed(tmp_path: Path) -> None:
    app = create_app(ServerSettings(model_dir=artifact_with_terms(tmp_path / "skin"), rate_per_minute=0, workers=1))
    png = as_png(network_input(), artifact())
    answer = predict(app, png, "/v1/predict?heatmap=maps&site=back", **{"content-type": "image/png"}).content
    app.state.service.close()
    with pytest.raises(RemoteMismatch, match="follow from the logits"):
        forward(answer)


def test_refused_image_still_brings_its_forward_pass() -> None:
    endpoint = ScriptedEndpoint(true_answer(is_black=True))
    output = RemoteClassifier(artifact(), endpoint).forward(network_input(is_black=True))
    assert json.loads(true_answer(is_black=True))["refusal"] is not None
    assert output.logits.shape == (len(SKIN.codes),)


@pytest.mark.parametrize(("lie", "message"), LIES.values(), ids=LIES)
def test_lying_server_is_not_believed(lie: Callable[[Document], None], message: str) -> None:
    document = json.loads(true_answer())
    lie(document)
    with pytest.raises(RemoteMismatch, match=message) as raised:
        forward(json.dumps(document).encode())
    assert str(raised.value).startswith("the script: expected")


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"[1]", b"\xff\xfe", b'{"detail": "patient 7"}'])
def test_what_is_no_answer_is_not_believed_and_not_repeated_to_the_user(content: bytes) -> None:
    with pytest.raises(RemoteMismatch) as raised:
        forward(content)
    assert "patient" not in str(raised.value)
