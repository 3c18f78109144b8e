"""Tables of what `model.evaluation.use` and `model.evaluation.drift` measured: pure functions, one row a measured
thing.

A share becomes six columns: value, low, high (in [0, 1], NaN where they cannot be said), hits, cases, lesions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from data.tasks.task import Task
from model.evaluation.drift import Drift
from model.evaluation.use import LiveCalibration, ReaderRates, Share, Use
from model.measures.metrics import Array

RATES = ("sensitivity", "specificity", "ppv", "npv")
SWITCHES = ("to_model", "elsewhere", "from_model", "to_right", "from_right")
_SHARE_COLUMNS = ("value", "low", "high", "hits", "cases", "lesions")


def share_columns(share: Share) -> dict[str, Any]:
    """A share as flat columns."""
    estimate = share.estimate
    values = (estimate.value, estimate.low, estimate.high, share.hits, share.cases, share.lesions)
    return dict(zip(_SHARE_COLUMNS, values, strict=True))


def use_frame(use: Use, task: Task) -> pd.DataFrame:
    """Every share of the page for download: measure, and the share's columns."""
    shares = {
        "agreement_before": use.before.share,
        "agreement_after": use.after.share,
        "switched": use.switches.switched,
        "flagged": use.flagged,
        "decided_other": use.other,
        **{name: getattr(use.switches, name) for name in SWITCHES},
        **{f"{reader.reader}_{rate}": getattr(reader, rate) for reader in use.rates for rate in RATES},
        f"{task.question.key}_by_biopsy": use.calibration.observed,
    }
    return pd.DataFrame([{"measure": name, **share_columns(share)} for name, share in shares.items()])


def rates_frame(rates: Sequence[ReaderRates]) -> pd.DataFrame:
    """One row a reader and rate: reader, rate, and the share's columns."""
    return pd.DataFrame(
        [
            {"reader": reader.reader, "rate": rate, **share_columns(getattr(reader, rate))}
            for reader in rates
            for rate in RATES
        ]
    )


def bins_frame(calibration: LiveCalibration) -> pd.DataFrame:
    """One row a bin with cases: stated, and the columns of the observed share."""
    rows = [{"stated": each.stated, **share_columns(each.observed)} for each in calibration.bins]
    return pd.DataFrame(rows, columns=["stated", *_SHARE_COLUMNS])


def answers_frame(drift: Drift, reference: Array, task: Task) -> pd.DataFrame:
    """Shares of the model's answers as `dashboard.shell.charts.interval_dots` draws them.

    Args:
        drift: of one window.
        reference: (C,) shares in the task's order.

    Returns:
        name (code), the share's columns, reference, images, colour.
    """
    shares = pd.DataFrame([share_columns(share) for share in drift.class_shares])
    shares.insert(0, "name", list(task.codes))
    return shares.assign(reference=reference, images=shares["cases"], colour=[one.colour for one in task.classes])
