"""Two models compared, as text tables for `python -m model.evaluate` and as one table for a CSV."""

from __future__ import annotations

import math
from dataclasses import asdict

import pandas as pd

from data.tasks.task import Task
from model.evaluation.comparison import Comparison, PairedDecision, PairedMetric
from model.evaluation.report import metric_name, table, text_of
from model.measures.intervals import Estimate


def format_comparison(comparison: Comparison, task: Task) -> str:
    """Every metric of both models with the paired difference, then McNemar's tests; `-` for what cannot be said."""
    header = ("first", "second", "first - second", "p (DeLong)")
    of_question = {question.key: task.asking(question) for question in task.further}
    overall = [one for one in comparison.metrics if not one.question or one.question in of_question]
    at_thresholds = [one for one in comparison.metrics if not math.isnan(one.threshold)]
    per_class = [one for one in comparison.metrics if one.question in task.codes]
    names = [
        metric_name("positive_auroc", of_question[one.question]) if one.question else metric_name(one.metric, task)
        for one in overall
    ]
    tables = [table(("Overall", *header), [(name, *_cells(one)) for name, one in zip(names, overall, strict=True)])]
    if at_thresholds:
        rows = [(f"{one.metric} at {one.threshold:.4f} (n = {one.images:,})", *_cells(one)) for one in at_thresholds]
        tables.append(table((f"{task.question.key.capitalize()}, at a threshold", *header), rows))
    rows = [(f"{one.question}: {one.metric} (n = {one.images:,})", *_cells(one)) for one in per_class]
    tables.append(table(("Class against rest", *header), rows))
    tests = ("images", "only first right", "only second right", "p (exact)", "chi-squared", "p")
    tables.append(
        table(("McNemar", *tests), [(decision_name(one, task), *_tested(one)) for one in comparison.decisions])
    )
    heading = (
        f"{comparison.images:,} images of {comparison.lesions:,} {task.words.subjects} that both have\n"
        f"Differences with 95 % intervals by {task.words.subject}: areas by DeLong, the others by "
        f"{comparison.resamples:,} paired bootstrap samples, seed {comparison.seed}. McNemar by "
        f"{task.words.subject} as well. None of the p values is corrected for their number."
    )
    return "\n\n".join([heading, *tables])


def decision_name(decision: PairedDecision, task: Task) -> str:
    """`malignant at 0.1800, of the positive`: which decision of which images."""
    if not decision.question:
        return f"{task.words.label} named rightly"
    side = task.question.positive if decision.side == "positive" else task.question.negative
    how = "by class" if math.isnan(decision.threshold) else f"at {decision.threshold:.4f}"
    return f"{task.question.key} {how}, of the {side} images"


def comparison_frame(comparison: Comparison) -> pd.DataFrame:
    """All of it as one table of numbers: a row a metric, then a row a decision; what does not apply is empty."""
    metrics = [
        {
            "metric": one.metric,
            "question": one.question,
            "threshold": one.threshold,
            "images": one.images,
            **_numbers("first", one.first),
            **_numbers("second", one.second),
            **_numbers("difference", one.difference),
            "p_delong": one.p_value,
        }
        for one in comparison.metrics
    ]
    decisions = [
        {
            "metric": f"mcnemar_{one.side}",
            "question": one.question,
            "threshold": one.threshold,
            "images": one.images,
            **asdict(one.test),
        }
        for one in comparison.decisions
    ]
    return pd.DataFrame([*metrics, *decisions])


def _cells(one: PairedMetric) -> tuple[str, str, str, str]:
    return text_of(one.first), text_of(one.second), _difference_text(one), p_text(one.p_value)


def _difference_text(one: PairedMetric) -> str:
    value, low, high = one.difference.value, one.difference.low, one.difference.high
    if math.isnan(value):
        return "-"
    if math.isnan(low):
        why = "no interval" if one.metric == "calibration_error" else "too few to say"
        return f"{value:+.3f} ({why})"
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def _tested(one: PairedDecision) -> tuple[str, ...]:
    test = one.test
    statistic = "-" if math.isnan(test.chi_squared) else f"{test.chi_squared:.2f}"
    counts = (f"{one.images:,}", f"{test.only_first:,}", f"{test.only_second:,}")
    return (*counts, p_text(test.p_exact), statistic, p_text(test.p_chi_squared))


def p_text(p_value: float) -> str:
    """`0.032`, `< 0.001`; `-` where there is none."""
    if math.isnan(p_value):
        return "-"
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _numbers(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
