"""Bars of an answer's probabilities, as HTML."""

from __future__ import annotations

from html import escape

from dashboard.shell.colours import ACCENT, NEUTRAL
from dashboard.shell.formats import percent
from model.inference.artifact import Artifact
from model.inference.calibration import population_name
from model.inference.classifier import Prediction
from model.inference.measured import OperatingPoint


def group_bars_html(prediction: Prediction, point: OperatingPoint) -> str:
    """The question's two sides (malignant and benign) as bars; a mark shows the threshold."""
    task, positive = prediction.task, prediction.p_positive
    question, negatives = task.question, [code for code in task.codes if not task.is_positive(code)]
    threshold = (point.threshold, f"threshold {percent(point.threshold)}")
    rows = _bar(question.positive.capitalize(), ", ".join(question.positives), positive, ACCENT, threshold)
    rows += _bar(question.negative.capitalize(), ", ".join(negatives), 1 - positive, NEUTRAL, None)
    return f"<div class='lens-bars lens-groups'>{rows}</div>"


def class_bars_html(prediction: Prediction, artifact: Artifact | None) -> str:
    """The probabilities, highest first; a mark shows each class's share of the population.

    Args:
        prediction: an answer, of this artifact or saved with a case.
        artifact: for the same task, whose population it is; without one no share of these classes is known or marked.
    """
    task, calibration = prediction.task, None if artifact is None else artifact.calibration
    place, prior = (population_name(calibration.population), calibration.prior) if calibration else ("", None)

    def mark(index: int) -> tuple[float, str] | None:
        return None if prior is None else (prior[index], f"share in {place} {percent(prior[index])}")

    order = sorted(range(len(task.classes)), key=lambda index: -prediction.probabilities[index])
    rows = "".join(
        _bar(one.name, one.code, float(prediction.probabilities[index]), one.colour, mark(index))
        for index, one in ((index, task.classes[index]) for index in order)
    )
    legend = f"<p class='lens-mark-note'>| the class's share in {escape(place)}</p>" if prior else ""
    return f"<div class='lens-bars'>{rows}{legend}</div>"


def _bar(name: str, code: str, share: float, colour: str, mark: tuple[float, str] | None) -> str:
    shown = percent(share)
    tick = f"<b style='left:{mark[0] * 100:.2f}%' title='{escape(mark[1])}'></b>" if mark else ""
    return (
        f"<div class='lens-bar' role='meter' aria-label='{escape(name)} ({code})' "
        f"aria-valuemin='0' aria-valuemax='100' aria-valuenow='{share * 100:.1f}' aria-valuetext='{escape(shown)}'>"
        f"<span class='name'>{escape(name)} <i>{code}</i></span><span class='value'>{escape(shown)}</span>"
        f"<span class='track'><span style='width:{share * 100:.2f}%;background:{colour}'></span>{tick}</span></div>"
    )
