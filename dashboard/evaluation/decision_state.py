"""The decision that a session looks at: question, threshold, prevalence and weight, which the page's address carries.

An address names what was moved from where the question starts, `decision=mel&threshold=0.12`; so do reload, bookmark
and a shared link.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from dashboard.resources import measurements, models
from model.evaluation.questions import questions_of
from model.inference.measured import OperatingPoint
from model.measures.decisions import threshold_odds
from model.measures.shares import ThresholdMetrics

MAX_PREVALENCE = 0.6
MAX_WEIGHT = 500
# Keys of the widgets in the session.
QUESTION, THRESHOLD, PREVALENCE = "evaluation_question", "evaluation_threshold", "evaluation_prevalence"
WEIGHT = "evaluation_weight"
# What an address calls them.
NAMES: Mapping[str, str] = {
    "decision": QUESTION,
    "threshold": THRESHOLD,
    "prevalence": PREVALENCE,
    "weight": WEIGHT,
}
# What this session has written into its address. It outlives a change of the model, whose thresholds are others: what
# stands in the address then is of the model before, and is not followed.
_WRITTEN = "written_decision"
# ASCII alone: float and int read digits of every script, and "nan".
_SHARE = re.compile(r"[01](\.[0-9]{1,24})?")
_WHOLE = re.compile(r"[0-9]{1,4}")

Query = dict[str, str]


def chosen() -> tuple[str, ThresholdMetrics]:
    """The decision that this session looks at, and what the threshold it has chosen does."""
    question = st.session_state.setdefault(QUESTION, _first_question())
    threshold = st.session_state.setdefault(THRESHOLD, _starting_threshold(question))
    return question, measurements.thresholds(question).at(threshold)


def points_of(question: str) -> tuple[OperatingPoint, ...]:
    """The stored operating points of a question; a class has none."""
    return models.artifact().points_of(question)


def share_of_positives(measured: ThresholdMetrics) -> float:
    """Of the images, the share that is positive."""
    return (measured.counts.true_positives + measured.counts.false_negatives) / max(measured.counts.n, 1)


def set_defaults(question: str) -> None:
    """Let prevalence and weight, where they were not moved yet, stand where the question starts."""
    st.session_state.setdefault(PREVALENCE, _starting_prevalence(question))
    st.session_state.setdefault(WEIGHT, _starting_weight(question))


def set_threshold(threshold: float) -> None:
    """Callback: move the threshold."""
    st.session_state[THRESHOLD] = threshold


def start_question() -> None:
    """Callback: a new question starts at its own threshold, prevalence and weight."""
    st.session_state.update(_starts(st.session_state[QUESTION]))


def follow_address() -> tuple[str, ...]:
    """Take over the decision of an address that somebody has opened; call it where the whole page is drawn.

    An address without a decision leaves it as it is: it is that of a section, or of the page in the navigation bar.

    Returns:
        What the address asks for that cannot be set, as it stands there; it is left out.
    """
    asked = _asked()
    if not asked or asked == st.session_state.get(_WRITTEN):
        return ()
    values = {NAMES[name]: _value(name, text) for name, text in asked.items()}
    question = values.get(QUESTION) or _first_question()
    known = {key: value for key, value in values.items() if value is not None}
    st.session_state.update({QUESTION: question} | _starts(question) | known)
    return tuple(f"{name}={text}" for name, text in asked.items() if values[NAMES[name]] is None)


def write_address() -> None:
    """Let the address carry what was moved from where it starts; what else stands in it stays."""
    question = st.session_state.get(QUESTION, _first_question())
    starts: dict[str, Any] = {QUESTION: _first_question()} | _starts(question)
    moved = {name: st.session_state.get(key, starts[key]) for name, key in NAMES.items()}
    query = {name: _text(value) for name, value in moved.items() if value != starts[NAMES[name]]}
    st.session_state[_WRITTEN] = query
    if _asked() != query:
        kept = {name: st.query_params.get_all(name) for name in st.query_params if name not in NAMES}
        st.query_params.from_dict(kept | {name: [text] for name, text in query.items()})


def _asked() -> Query:
    return {name: st.query_params[name] for name in NAMES if name in st.query_params}


def _value(name: str, text: str) -> Any:
    """What a widget can be set to, or None."""
    if name == "decision":
        return text if text in questions_of(models.artifact().task) else None
    if name == "weight":
        weight = int(text) if _WHOLE.fullmatch(text) else 0
        return weight if 1 <= weight <= MAX_WEIGHT else None
    share = float(text) if _SHARE.fullmatch(text) else float("nan")
    return share if share <= (MAX_PREVALENCE if name == "prevalence" else 1.0) else None


def _text(value: Any) -> str:
    """A number as `_value` reads it to the last digit, for an image may lie at the very threshold."""
    return np.format_float_positional(value, trim="-") if isinstance(value, float) else str(value)


def _first_question() -> str:
    return models.artifact().task.question.key


def _starts(question: str) -> dict[str, float]:
    return {
        THRESHOLD: _starting_threshold(question),
        PREVALENCE: _starting_prevalence(question),
        WEIGHT: _starting_weight(question),
    }


def _starting_threshold(question: str) -> float:
    points = points_of(question)
    return points[0].threshold if points else 0.5


def _starting_prevalence(question: str) -> float:
    """The share of the locked test images that are positive, as far as the slider goes."""
    return min(round(share_of_positives(measurements.thresholds(question).at(0.5)), 3), MAX_PREVALENCE)


def _starting_weight(question: str) -> int:
    """What the threshold that a question starts at says of the two kinds of error."""
    odds = threshold_odds(_starting_threshold(question))
    return min(max(round(1 / max(odds, 1 / MAX_WEIGHT)), 1), MAX_WEIGHT)
