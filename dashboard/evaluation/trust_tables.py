"""Tables of what the studies stored in an artifact's manifest: pure functions, one row a measured thing.

An estimate becomes three columns: its name, `<name>_low` and `<name>_high`. JSON has no NaN: null becomes NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

Section = Mapping[str, Any]

CLINICAL_METRICS = ("balanced_accuracy", "macro_auroc", "accuracy", "calibration_error")
QUESTIONS = ("top_class", "positive")
SET_ALL, RETRIEVAL_MEAN = "all", "mean"
HEATMAP_MEASURES = ("energy_inside", "pointing", "iou", "insertion", "deletion", "faithfulness")
ROBUSTNESS_METRICS = ("balanced_accuracy", "gravest_auroc", "positive_auroc", "sensitivity", "specificity")
ROBUSTNESS_EFFECTS = ("decision_flips", "class_changes", "balanced_accuracy_difference")
UNPERTURBED = "unperturbed"
SUBGROUP_RATES = ("balanced_accuracy", "positive_auroc", "sensitivity", "specificity")
_SUBGROUP_COUNTS = ("attribute", "group", "images", "lesions", "positive_lesions", "negative_lesions", "classes")


def estimate_columns(estimates: Mapping[str, Mapping[str, float | None]]) -> dict[str, float]:
    """Estimates as flat columns: `{"iou": {"value": 0.5, "low": 0.4, "high": 0.6}}` to `iou`, `iou_low`, `iou_high`."""
    return {
        f"{name}{suffix}": number(stored[part])
        for name, stored in estimates.items()
        for suffix, part in (("", "value"), ("_low", "low"), ("_high", "high"))
    }


def number(stored: float | None) -> float:
    """A stored number; NaN for what cannot be said."""
    return float("nan") if stored is None else float(stored)


def reliability_frame(section: Section) -> pd.DataFrame:
    """Stated probability against observed share: question, stated, observed, images; bins without images left out."""
    rows = [
        (question, stated, observed, images)
        for question in QUESTIONS
        for stated, observed, images in zip(*(section[question][part] for part in _RELIABILITY), strict=True)
        if images
    ]
    return pd.DataFrame(rows, columns=["question", *_RELIABILITY])


_RELIABILITY = ("stated", "observed", "images")


def sets_frame(measured: Section) -> pd.DataFrame:
    """Coverage and size of prediction sets: all images, then one row a diagnosis; `mean_size` in classes."""
    overall = {"dx": SET_ALL, **_counts(measured), **estimate_columns({"coverage": measured["coverage"]})}
    rows = [overall | {"mean_size": number(measured["mean_size"]["value"])}]
    rows += [
        {"dx": row["dx"], **_counts(row)}
        | estimate_columns({"coverage": row["coverage"]})
        | {"mean_size": number(row["mean_size"])}
        for row in measured["coverage_by_dx"]
    ]
    return pd.DataFrame(rows)


def tried_sets_frame(tried: Mapping[str, Section]) -> pd.DataFrame:
    """The ways of making sets that were tried: coverage, mean size, and the diagnosis that is covered least.

    Args:
        tried: method to what `model.inference.conformal.measure_sets` measured; none gives no rows.
    """
    return pd.DataFrame([{"method": method, **_tried_row(metrics)} for method, metrics in tried.items()])


def _tried_row(metrics: Section) -> dict[str, Any]:
    measured = [row for row in metrics["coverage_by_dx"] if row["coverage"]["value"] is not None]
    least = min(measured, key=lambda row: row["coverage"]["value"])
    overall = estimate_columns({name: metrics[name] for name in ("coverage", "mean_size")})
    least_covered = {"least_covered": least["dx"], "least_covered_images": least["images"]}
    return {**_counts(metrics), **overall, **least_covered, **estimate_columns({"least_coverage": least["coverage"]})}


def clinical_frame(measured: Section) -> pd.DataFrame:
    """What age and body site add: metric, and `alone`, `informed` and `gain` with intervals.

    The gain is NaN where it was not measured in pairs.
    """
    alone, informed = measured["image_alone"], measured["with_facts"]
    pairs = {name: (alone[name], informed[name]) for name in CLINICAL_METRICS}
    pairs |= {name: (alone["sets"][name], informed["sets"][name]) for name in ("coverage", "mean_size")}
    nothing = dict.fromkeys(("value", "low", "high"))
    return pd.DataFrame(
        [
            {"metric": name}
            | estimate_columns({"alone": before, "informed": after, "gain": measured["gain"].get(name, nothing)})
            for name, (before, after) in pairs.items()
        ]
    )


def heatmap_frame(section: Section) -> pd.DataFrame:
    """One row a heatmap method: images, and the six measures of `model.studies.heatmaps`."""
    return _heatmap_rows(section["methods"], ("method", "images", "without_evidence", "faithfulness_images"))


def heatmap_differences(section: Section) -> pd.DataFrame:
    """One row a pair of methods, `method` minus `other` on the same images, with the same measures."""
    return _heatmap_rows(section["comparisons"], ("method", "other", "images", "faithfulness_images"))


def _heatmap_rows(rows: Iterable[Section], facts: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame([{name: row[name] for name in facts} | estimate_columns(row["measures"]) for row in rows])


def robustness_frame(section: Section) -> pd.DataFrame:
    """The unperturbed images, then one row a perturbation, by falling share of decisions that flip.

    Columns: key, name, kind, images, and the estimates of `model.studies.robustness`; NaN where the unperturbed images
    have nothing to be compared with.
    """
    before = {"key": UNPERTURBED, "name": UNPERTURBED.capitalize(), "kind": "", "images": section["images"]}
    rows = [before | estimate_columns({name: section["unperturbed"][name] for name in ROBUSTNESS_METRICS})]
    rows += [
        {"key": row["key"], "name": row["name"], "kind": row["kind"], "images": section["images"]}
        | estimate_columns({name: row[name] for name in ROBUSTNESS_EFFECTS})
        | estimate_columns({name: row["metrics"][name] for name in ROBUSTNESS_METRICS})
        for row in section["perturbations"]
    ]
    return pd.DataFrame(rows).sort_values("decision_flips", ascending=False, kind="stable", na_position="first")


def subgroup_frame(section: Iterable[Section]) -> pd.DataFrame:
    """One row a subgroup: attribute, group, counts, four rates, is_too_small (`model.evaluation.subgroups`)."""
    return pd.DataFrame(
        [
            {name: row[name] for name in _SUBGROUP_COUNTS}
            | estimate_columns({name: row[name] for name in SUBGROUP_RATES})
            | {"is_too_small": row["is_too_small"]}
            for row in section
        ]
    )


def gate_frame(section: Section) -> pd.DataFrame:
    """One row a source of images: how many, whether the gate should refuse them, and the share that it refused."""
    facts = ("source", "should_be_refused", "images")
    return pd.DataFrame(
        [
            {name: row[name] for name in facts}
            | estimate_columns({name: row[name] for name in ("refused", "out_of_distribution")})
            for row in section["sources"]
        ]
    )


def retrieval_frame(section: Section) -> pd.DataFrame:
    """Precision of the nearest lesions and what chance gives: the mean of the classes, then one row a diagnosis."""
    mean = {"dx": RETRIEVAL_MEAN, **_counts(section), **estimate_columns({"precision": section["macro"]})}
    rows = [mean | {"chance": number(section["macro_chance"])}]
    rows += [
        {"dx": row["dx"], **_counts(row)}
        | estimate_columns({"precision": row["precision"]})
        | {"chance": number(row["chance"])}
        for row in section["per_class"]
    ]
    return pd.DataFrame(rows)


def _counts(row: Section) -> dict[str, int]:
    return {"images": row["images"], "lesions": row["lesions"]}
