"""Tables of what was set beside the locked test, and of what a recalibration changes: pure functions.

As in `dashboard.evaluation.studies.trust_tables`, an estimate becomes three columns; null becomes NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from dashboard.evaluation.studies.trust_tables import Section, estimate_columns

_FACTS = ("metric", "question", "point", "is_end_to_end", "images", "locked_images")
_CHANGES = ("before", "after", "difference")
_NOTHING = dict.fromkeys(("value", "low", "high"))


def beside_frame(section: Iterable[Section]) -> pd.DataFrame:
    """One row a source and metric (`model.studies.clinics.beside`): what it is about, and the estimates `here`,
    `locked` and `difference`; no rows of sources whose labels do not tell every class."""
    rows = [
        {"source": source["name"], **{name: row[name] for name in _FACTS}}
        | estimate_columns({name: row[name] for name in ("here", "locked", "difference")})
        for source in section
        for row in source.get("beside", ())
    ]
    return pd.DataFrame(rows, columns=None if rows else ["source", *_FACTS])


def recalibration_frame(section: Section) -> pd.DataFrame:
    """One row a measure (`model.studies.clinics.recalibration`): its threshold before and after where it has one, n,
    and the estimates `before`, `after` and `difference` of the half that was not fitted on."""
    rows = [
        {"metric": metric, "point": point, "threshold_before": old, "threshold": new, "images": images}
        | estimate_columns(dict(zip(_CHANGES, estimates, strict=True)))
        for metric, point, old, new, images, estimates in _changes(section)
    ]
    return pd.DataFrame(rows)


def _changes(section: Section) -> Iterator[tuple[str, str, float, float, int, tuple[Any, ...]]]:
    nan, answered = float("nan"), section["measured"]["answered"]
    yield "log_loss", "", nan, nan, answered, _estimates(section["log_loss"])
    yield "calibration_error", "", nan, nan, answered, (*section["calibration_errors"], _NOTHING)
    for point in section["points"]:
        for rate, images in zip(("sensitivity", "specificity"), point["images"], strict=True):
            thresholds = point["threshold_before"], point["threshold"]
            yield rate, point["name"], *thresholds, images, _estimates(point[rate])
    for metric in ("coverage", "mean_size"):
        yield metric, "", nan, nan, answered, _estimates(section[metric])


def _estimates(change: Section) -> tuple[Any, ...]:
    return tuple(change[name] for name in _CHANGES)
