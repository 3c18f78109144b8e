"""The dashboard with a classifier elsewhere: the setting, and what the Review page is given."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dashboard.resources import models
from dashboard.settings import SettingsError, read_settings
from dashboard.shell.errors import error_message
from model.remote.failures import RemoteMismatch, RemoteUnavailable
from tests.support.dashboard import environment
from tests.support.endpoints import Reply, serving
from tests.support.server import ROOT, TOKEN, running_server, sample


def test_model_runs_here_unless_the_setting_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings({}).classifier == read_settings({"CLASSIFIER": "litert"}).classifier == "litert"
    with environment(monkeypatch):
        assert models.answering_runtime() == "this machine"


def test_setting_that_names_no_endpoint_is_refused() -> None:
    with pytest.raises(SettingsError, match="CLASSIFIER: expected litert, or an endpoint"):
        read_settings({"CLASSIFIER": "tensorflow"})


def test_token_is_not_shown() -> None:
    assert "secret" not in repr(read_settings({"CLASSIFIER": "https://api", "CLASSIFIER_TOKEN": "secret"}))


def test_server_of_the_setting_answers_an_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        running_server(API_WORKERS="1", API_TOKENS=TOKEN) as (_, address),
        environment(monkeypatch, CLASSIFIER=address, CLASSIFIER_TOKEN=TOKEN),
    ):
        analysis = models.analyzer().run(sample())
        assert models.answering_runtime() == f"the server {address.removeprefix('http://')}"
    assert analysis.answered.prediction.dx == "mel"


@pytest.mark.parametrize(("reply", "error"), [(Reply(status=404), RemoteUnavailable), (Reply(b"{}"), RemoteMismatch)])
def test_error_of_the_server_has_a_message(
    reply: Reply, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda request: reply) as (address, _), environment(monkeypatch, CLASSIFIER=address):
        with pytest.raises(error) as raised:
            models.analyzer().run(sample())
    assert error_message(raised.value).endswith("Saved cases and the other pages work without the model.")


def test_dashboard_with_its_model_here_loads_nothing_for_one_elsewhere() -> None:
    code = (
        "import sys; import dashboard.review.widgets; from dashboard.resources import models; models.analyzer(); "
        "models.answering_runtime(); sys.exit('model.remote.classifier' in sys.modules or 'boto3' in sys.modules)"
    )
    environ = {name: value for name, value in os.environ.items() if name != "CLASSIFIER"}
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, check=False).returncode == 0
