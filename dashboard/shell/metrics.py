"""What a metric is on screen, and how its value, interval and gain are written; `glossary` holds them all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from dashboard.shell.formats import percent, span
from model.measures.calibration import CalibrationError
from model.measures.intervals import Estimate

TOO_FEW = "too few to say"


@dataclass(frozen=True)
class Metric:
    """A metric as the screen names and explains it.

    Attributes:
        name: label.
        sentence: one plain sentence on what it says.
        formula: how it is computed.
        style: `share` in whole percents, `error` in percents with one decimal, `area` with two decimals.
    """

    name: str
    sentence: str
    formula: str
    style: Literal["share", "error", "area"]

    @property
    def tooltip(self) -> str:
        return f"{self.sentence}  \n*{self.formula}*"

    @property
    def plain_tooltip(self) -> str:
        """The same without markup, for a title attribute."""
        return f"{self.sentence} {self.formula}"

    def format(self, value: float) -> str:
        """The value as text; a dash where it cannot be said."""
        if math.isnan(value):
            return "–"
        if self.style == "area":
            return f"{value:.2f}"
        return percent(value) if self.style == "share" else f"{value * 100:.1f} %"


def interval(estimate: Estimate, metric: Metric, images: int) -> str:
    """`75 to 83 %, n = 1,502`."""
    return f"{interval_of(estimate, metric) or '–'}, {n_of(images)}"


def interval_of(estimate: Estimate, metric: Metric) -> str:
    """`75 to 83 %`; what stands in its place where a value has no interval; empty where there is no value."""
    if isinstance(estimate, CalibrationError):
        return chance_range(estimate.chance_median, estimate.chance_high, metric)
    return interval_or_why(estimate.value, estimate.low, estimate.high, metric)


def interval_or_why(value: float, low: float, high: float, metric: Metric) -> str:
    """`75 to 83 %`; where a value has none, that there are too few; empty where there is no value."""
    if math.isnan(value):
        return ""
    return TOO_FEW if math.isnan(low) else interval_range(low, high, metric)


def chance_range(median: float, high: float, metric: Metric) -> str:
    """`if perfectly calibrated: 1.9 %, up to 2.7 %`: what stands beside a calibration error; empty without one."""
    if math.isnan(median):
        return ""
    return f"if perfectly calibrated: {metric.format(median)}, up to {metric.format(high)}"


def n_of(count: int) -> str:
    """`n = 1,502`, wherever a figure says on how many it stands."""
    return f"n = {count:,}"


def with_interval(metric: Metric, value: float, low: float, high: float, count: int | None = None) -> str:
    """`83 % (75 to 88 %, n = 1,502)`, the one form of an estimate in a sentence; what cannot be said is a dash."""
    return _with_brackets(metric.format(value), interval_or_why(value, low, high, metric), count)


def with_chance(metric: Metric, value: float, median: float, high: float, count: int | None = None) -> str:
    """`2.6 % (if perfectly calibrated: 1.9 %, up to 2.7 %, n = 1,502)`, the same of a calibration error."""
    return _with_brackets(metric.format(value), chance_range(median, high, metric), count)


def _with_brackets(value: str, beside: str, count: int | None) -> str:
    brackets = ", ".join(part for part in (beside, "" if count is None else n_of(count)) if part)
    return f"{value} ({brackets})" if brackets else value


def interval_range(low: float, high: float, metric: Metric) -> str:
    """`75 to 83 %`, `0.91 to 0.95`; a dash where it cannot be said."""
    if math.isnan(low) or math.isnan(high):
        return "–"
    if metric.style == "area":
        return f"{low:.2f} to {high:.2f}"
    return span(low, high) if metric.style == "share" else f"{low * 100:.1f} to {high * 100:.1f} %"


def gain(value: float, low: float, high: float, metric: Metric) -> tuple[str, str]:
    """What an addition gains and its interval, in points of a hundred for shares; nothing where it was not measured."""
    if math.isnan(value):
        return "", ""
    if metric.style == "area":
        return f"{value:+.3f}", f"{low:+.3f} to {high:+.3f}"
    return f"{value * 100:+.1f} points", f"{low * 100:+.1f} to {high * 100:+.1f}"
