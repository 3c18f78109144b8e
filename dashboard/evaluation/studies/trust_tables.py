"""Tables of what the studies stored in an artifact's manifest: pure functions, one row a measured thing.

An estimate becomes three columns: its name, `<name>_low` and `<name>_high`; a calibration error has no interval, and
two more columns. JSON has no NaN: null becomes NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from data.datasets.ham10000 import UNKNOWN

Section = Mapping[str, Any]

CLINICAL_METRICS = ("balanced_accuracy", "macro_auroc", "accuracy", "calibration_error")
# What a perfectly calibrated model shows, see `model.measures.calibration.CalibrationError`.
CHANCE: tuple[str, ...] = ("chance_median", "chance_high")
TOP_CLASS, POSITIVE = "top_class", "positive"
SET_ALL, RETRIEVAL_MEAN = "all", "mean"
# What became of an image at a threshold, end to end.
FATES: tuple[str, ...] = ("flagged", "not_flagged", "not_answered")
RANDOMISATION_MEASURES = ("absolute_rank_correlation", "rank_correlation", "correlation")
HEATMAP_MEASURES = ("energy_inside", "pointing", "iou", "insertion", "deletion", "faithfulness")
ROBUSTNESS_METRICS = ("balanced_accuracy", "gravest_auroc", "positive_auroc", "sensitivity", "specificity")
ROBUSTNESS_EFFECTS = ("decision_flips", "class_changes", "balanced_accuracy_difference")
UNPERTURBED = "unperturbed"
SUBGROUP_RATES = ("balanced_accuracy", "positive_auroc", "sensitivity", "specificity")
_SUBGROUP_COUNTS = ("attribute", "group", "images", "lesions", "positive_lesions", "negative_lesions", "classes")


def estimate_columns(estimates: Mapping[str, Mapping[str, float | None]]) -> dict[str, float]:
    """Estimates as flat columns: `{"iou": {"value": 0.5, "low": 0.4, "high": 0.6}}` to `iou`, `iou_low`, `iou_high`.

    A calibration error has those of `CHANCE` as well.
    """
    return {
        f"{name}{suffix}": number(stored[part])
        for name, stored in estimates.items()
        for suffix, part in (
            ("", "value"),
            ("_low", "low"),
            ("_high", "high"),
            *((f"_{part}", part) for part in CHANCE),
        )
        if part in stored or part not in CHANCE
    }


def number(stored: float | None) -> float:
    """A stored number; NaN for what cannot be said."""
    return float("nan") if stored is None else float(stored)


def reliability_frame(section: Section) -> pd.DataFrame:
    """Stated probability against observed share, a row a bin: question, bin from 0, stated, observed, images.

    Bins without images are left out.

    Args:
        section: see `model.evaluation.results.reliability_bins`.
    """
    rows = [
        (question, number, stated, observed, images)
        for question, bins in section.items()
        for number, (stated, observed, images) in enumerate(zip(*(bins[part] for part in _RELIABILITY), strict=True))
        if images
    ]
    return pd.DataFrame(rows, columns=["question", "bin", *_RELIABILITY])


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


def randomisation_frame(section: Section) -> pd.DataFrame:
    """One row a stage of randomisation, from the output downwards: part, backbone_share, images, empty maps, measures.

    Of an artifact from before it was measured: no rows.
    """
    measured = section.get("randomisation") or {"images": 0, "stages": ()}
    return pd.DataFrame(
        [
            {name: row[name] for name in ("part", "backbone_share", "without_evidence")}
            | {"images": measured["images"]}
            | estimate_columns({name: row[name] for name in RANDOMISATION_MEASURES})
            for row in measured["stages"]
        ]
    )


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
    """One row a subgroup: attribute, group, counts, four rates, is_too_small (`model.evaluation.subgroups`).

    Of attributes that are known of no image, nothing.
    """
    rows = list(section)
    known = {row["attribute"] for row in rows if row["group"] != UNKNOWN}
    return pd.DataFrame(
        [
            {name: row[name] for name in _SUBGROUP_COUNTS}
            | estimate_columns({name: row[name] for name in SUBGROUP_RATES})
            | {"is_too_small": row["is_too_small"]}
            for row in rows
            if row["attribute"] in known
        ]
    )


def gate_frame(section: Section) -> pd.DataFrame:
    """One row a source of images: how many, whether the gate should refuse them, and the share that it refused."""
    facts = ("source", "should_be_refused", "images")
    return pd.DataFrame(
        [
            {name: row[name] for name in facts}
            # Artifacts from before there was an edge have no share of it.
            | estimate_columns(
                {name: row[name] for name in ("refused", "out_of_distribution", "at_the_edge") if name in row}
            )
            for row in section["sources"]
        ]
    )


def outcome_frame(section: Iterable[Section]) -> pd.DataFrame:
    """One row a source, threshold and kind of image: how many, and the shares flagged, not flagged, not answered."""
    return pd.DataFrame(
        [
            {"source": source["name"], "point": point["name"], "threshold": point["threshold"], "kind": kind}
            | {"images": outcome["flagged"]["n"]}
            | estimate_columns({fate: outcome[fate] for fate in FATES})
            for source in section
            for point in source["points"]
            for kind, outcome in point["outcomes"].items()
        ]
    )


def without_repeated_kinds(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Rows of `outcome_frame` without the positive images where these are the gravest class's and no others."""
    gravest = outcomes[outcomes["kind"] == "gravest"].set_index(["source", "point"])["images"]
    keys = pd.MultiIndex.from_frame(outcomes[["source", "point"]])
    is_same = outcomes["images"].to_numpy() == gravest.reindex(keys).to_numpy()
    return outcomes[~((outcomes["kind"] == "positive").to_numpy() & is_same)]


def external_frame(section: Iterable[Section]) -> pd.DataFrame:
    """One row a source and measure: how good answers and sets are, and what was refused, by class where that is said.

    Returns:
        Columns source, measure, metric (its key in the glossary), dx (`all` or a code), images, and the
        estimate `value`.
    """
    return pd.DataFrame(
        [
            {"source": source["name"], "measure": measure, "metric": metric, "dx": dx, "images": images}
            | estimate_columns({"value": estimate})
            for source in section
            for measure, metric, dx, images, estimate in _external_rows(source)
        ]
    )


def _external_rows(source: Section) -> Iterator[tuple[str, str, str, int, Section]]:
    refused = source["refused"][0]["refused"]
    of_all = refused["n"]
    answered = round(of_all * (1 - refused["value"]))
    for measure in ("gravest_auroc", "gravest_auroc_with_refused", "positive_auroc", "positive_auroc_with_refused"):
        if measure in source:
            images = of_all if measure.endswith("_with_refused") else answered
            yield measure, "positive_auroc", "all", images, source[measure]
    if source["calibration_error"] is not None:
        yield "calibration_error", "calibration_error", "all", answered, source["calibration_error"]
    for row in source["sets"]["coverage"]:
        yield "coverage", "coverage", row["dx"], row["coverage"]["n"], row["coverage"]
    for row in source["refused"]:
        yield "refused", "refused", row["dx"], row["refused"]["n"], row["refused"]


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
