"""What was measured on a clinic's images, as text: beside the locked test, the confusion counts, the recalibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data.tasks.task import Task
from model.evaluation.report import estimate_text, external_tables, metric_name, table
from model.studies.clinics.recalibration import SECTION as RECALIBRATION

Stored = Mapping[str, Any]

SET_MEASURES = ("coverage", "mean_size")
VERDICTS = {
    "better": "The recalibration helps: on the half that it was not fitted on, its log loss is lower.",
    "worse": "The recalibration does harm: on the half that it was not fitted on, its log loss is higher.",
    "unclear": "The recalibration is not shown to help: the interval of its log loss's change holds 0.",
}


def entry_text(entry: Stored, task: Task) -> str:
    """An entry of `external` as the command prints it."""
    parts = [external_tables([entry], task)]
    if "beside" in entry:
        parts += [_beside(entry["beside"], task), _confusion(entry["metrics"]["confusion"], task)]
    if RECALIBRATION in entry:
        parts.append(recalibration_text(entry[RECALIBRATION], task))
    if "not_recalibrated" in entry:
        parts.append(f"No recalibration: {entry['not_recalibrated']}")
    return "\n\n".join(parts)


def _beside(rows: Sequence[Stored], task: Task) -> str:
    cells = [
        (
            row_name(row, task),
            f"{row['images']:,}",
            estimate_text(row["here"]),
            f"{row['locked_images']:,}",
            estimate_text(row["locked"]),
            difference_text(row["difference"]),
        )
        for row in rows
    ]
    header = ("Next to the locked test", "n", "here", "n", "locked test", "here - locked test")
    return f"{table(header, cells)}\nThe locked test counts every image as answered."


def row_name(row: Stored, task: Task) -> str:
    """`sensitivity_95: sensitivity, end to end`, `mel: auroc`."""
    name = metric_name(row["metric"], task)
    if row["point"]:
        return f"{row['point']}: {name}, {'end to end' if row['is_end_to_end'] else 'of the answered'}"
    return f"{row['question']}: {name}" if row["question"] else name


def difference_text(stored: Stored) -> str:
    """`-0.032 (-0.060 to -0.004)`; `-` where a difference would say nothing."""
    value, low, high = (stored[name] for name in ("value", "low", "high"))
    if value is None:
        return "-"
    return f"{value:+.3f} (too few to say)" if low is None else f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def _confusion(confusion: Sequence[Sequence[int]], task: Task) -> str:
    header = (f"Answered images: {task.words.label} (row), prediction (column)", *task.codes)
    return table(header, [(dx, *(f"{n:,}" for n in row)) for dx, row in zip(task.codes, confusion, strict=True)])


def recalibration_text(section: Stored, task: Task) -> str:
    """What the half that was not fitted on shows, and whether the recalibration helps."""
    fitted, measured = section["fitted"], section["measured"]
    errors = section["calibration_errors"]
    changes = [("log loss", measured["answered"], section["log_loss"])]
    for point in section["points"]:
        at = f"{point['name']}, {point['threshold_before']:.4f} to {point['threshold']:.4f}"
        sides = zip(("sensitivity", "specificity"), point["images"], strict=True)
        changes += [(f"{at}: {rate}", images, point[rate]) for rate, images in sides]
    changes += [(f"sets: {name.replace('_', ' ')}", measured["answered"], section[name]) for name in SET_MEASURES]
    rows = [
        (name, f"{images:,}", *(estimate_text(change[when]) for when in ("before", "after")),
         difference_text(change["difference"]))
        for name, images, change in changes
    ]  # fmt: skip
    rows.insert(1, ("calibration error", f"{measured['answered']:,}", *map(estimate_text, errors), "-"))
    subjects = task.words.subjects
    heading = (
        f"Recalibration: fitted on {fitted['answered']:,} answered images ({fitted['lesions']:,} {subjects}), measured "
        f"on {measured['answered']:,} others ({measured['lesions']:,} {subjects}). Temperature times "
        f"{section['factor_temperature']:.2f}."
    )
    header = ("The half not fitted on", "n", "as it stands", "recalibrated", "change")
    missing = section["without_images"]
    warning = (
        [f"No image of {', '.join(missing)} to fit on: hardly any probability is left to them."] if missing else []
    )
    return "\n".join([heading, table(header, rows), *warning, VERDICTS[section["verdict"]]])
