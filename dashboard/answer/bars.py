"""Bars of an answer's probabilities, as HTML."""

from __future__ import annotations

from html import escape

from dashboard.shell.colours import ACCENT, DX_COLOURS, NEUTRAL
from dashboard.shell.formats import percent
from data.tasks.skin import DIAGNOSES, DX_CODES
from model.inference.artifact import Artifact, OperatingPoint
from model.inference.classifier import Prediction


def group_bars_html(prediction: Prediction, point: OperatingPoint) -> str:
    """Malignant and benign as two bars; a mark shows the threshold."""
    malignant = prediction.p_malignant
    threshold = (point.threshold, f"threshold {percent(point.threshold)}")
    rows = _bar("Malignant", "akiec, bcc, mel", malignant, ACCENT, threshold)
    rows += _bar("Benign", "bkl, df, nv, vasc", 1 - malignant, NEUTRAL, None)
    return f"<div class='lens-bars lens-groups'>{rows}</div>"


def class_bars_html(prediction: Prediction, artifact: Artifact) -> str:
    """The seven probabilities, highest first; a mark shows each class's share of the population."""
    order = sorted(range(len(DX_CODES)), key=lambda index: -prediction.probabilities[index])
    rows = "".join(
        _bar(
            DIAGNOSES[index].name,
            DIAGNOSES[index].code,
            float(prediction.probabilities[index]),
            DX_COLOURS[DIAGNOSES[index].code],
            (
                artifact.calibration.prior[index],
                f"share in HAM10000 {percent(artifact.calibration.prior[index])}",
            ),
        )
        for index in order
    )
    legend = "<p class='lens-mark-note'>| the class's share in HAM10000</p>"
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
