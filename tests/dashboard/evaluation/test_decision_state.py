"""The decision that is looked at on Evaluation stands in the page's address, and an opened address sets it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.answer.cohort import dropped
from dashboard.evaluation import decision_state
from dashboard.evaluation.decision_state import PREVALENCE, QUESTION, THRESHOLD, WEIGHT
from tests.support.dashboard import environment, run_page, shown_text, write_artifact

# Of the made-up artifact: the threshold of its operating point.
START = 0.25


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with environment(monkeypatch, MODEL_DIR=write_artifact(tmp_path)):
        yield


def values_of(page: AppTest) -> tuple[str, float, float, int]:
    return (
        page.selectbox(key=QUESTION).value,
        page.slider(key=THRESHOLD).value,
        page.slider(key=PREVALENCE).value,
        page.number_input(key=WEIGHT).value,
    )


def test_what_is_moved_stands_in_the_address_and_nothing_else(model: None) -> None:
    page = run_page("evaluation", section="decisions", dx="mel")
    assert page.slider(key=THRESHOLD).value == START
    assert page.query_params == {"section": "decisions", "dx": "mel"}
    page.slider(key=THRESHOLD).set_value(0.4).run()
    page.number_input(key=WEIGHT).set_value(9).run()
    moved = {"section": "decisions", "dx": "mel", "threshold": "0.4", "weight": "9"}
    assert page.query_params == moved
    # A new question starts at its own values.
    page.selectbox(key=QUESTION).set_value("mel").run()
    assert page.query_params == {"section": "decisions", "dx": "mel", "decision": "mel"}
    assert not page.exception and not page.info


def test_a_shared_link_shows_the_same(model: None) -> None:
    page = run_page("evaluation", section="decisions")
    page.selectbox(key=QUESTION).set_value("bcc").run()
    page.slider(key=THRESHOLD).set_value(0.123).run()
    page.slider(key=PREVALENCE).set_value(0.02).run()
    page.number_input(key=WEIGHT).set_value(30).run()
    opened = run_page("evaluation", **page.query_params)
    assert values_of(opened) == values_of(page) == ("bcc", 0.123, 0.02, 30)
    assert shown_text(opened) == shown_text(page) and opened.query_params == page.query_params


def test_a_link_is_followed_in_a_session_that_had_moved_them(model: None) -> None:
    page = run_page("evaluation", section="decisions")
    page.slider(key=THRESHOLD).set_value(0.4).run()
    page.number_input(key=WEIGHT).set_value(9).run()
    page.query_params.clear()
    page.query_params.update({"section": "decisions", "threshold": "0.05"})
    page.run()
    question, threshold, _, weight = values_of(page)
    assert (question, threshold) == ("malignant", 0.05) and weight != 9
    # The address of a section alone leaves them.
    page.query_params.clear()
    page.query_params.update({"section": "decisions"})
    page.run()
    assert page.slider(key=THRESHOLD).value == 0.05 and page.query_params["threshold"] == "0.05"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("decision", "wart"),
        ("threshold", "1.5"),
        ("threshold", "nan"),
        ("threshold", "-0.1"),
        ("threshold", "0,5"),
        ("threshold", "\u0660.5"),
        ("prevalence", "0.61"),
        ("prevalence", ""),
        ("weight", "0"),
        ("weight", "501"),
        ("weight", "2.5"),
    ],
)
def test_what_cannot_be_set_is_left_out_and_named(model: None, name: str, text: str) -> None:
    untouched = values_of(run_page("evaluation", section="decisions"))
    page = run_page("evaluation", section="decisions", **{name: text})
    assert not page.exception and values_of(page) == untouched
    assert [info.value for info in page.info] == [dropped([f"{name}={text}"])]
    assert page.query_params == {"section": "decisions"}


def test_another_section_follows_the_link_too(model: None) -> None:
    page = run_page("evaluation", section="discrimination", decision="mel", threshold="0.3")
    assert not page.exception
    assert page.session_state[QUESTION] == "mel" and page.session_state[THRESHOLD] == 0.3
    assert page.query_params == {"section": "discrimination", "decision": "mel", "threshold": "0.3"}


def test_a_threshold_is_written_to_its_last_digit() -> None:
    # An image may lie at the very threshold, as the operating point's own does.
    for threshold in (0.1 + 0.2, 1 / 3, 1e-7, 1.0, 0.0):
        assert float(decision_state._text(threshold)) == threshold
        assert decision_state._value("threshold", decision_state._text(threshold)) == threshold
