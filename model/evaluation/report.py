"""What the studies stored in an artifact's manifest, as text tables for `python -m model.evaluate`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from data.datasets.ham10000 import UNKNOWN
from data.tasks.task import Task
from model.evaluation.operating_points import READ_OFF_SENSITIVITY, ReadOff
from model.measures.calibration import CalibrationError
from model.measures.intervals import Estimate

Section = Mapping[str, Any]


def text_of(estimate: Estimate) -> str:
    """An estimate as `0.802 (0.764 to 0.836)`; `-` for what cannot be said.

    Of an area of too few groups stands the value alone, of a calibration error what chance alone gives.
    """
    if math.isnan(estimate.value):
        return "-"
    if isinstance(estimate, CalibrationError):
        return f"{estimate.value:.3f} (by chance {estimate.chance_median:.3f}, up to {estimate.chance_high:.3f})"
    if math.isnan(estimate.low):
        return f"{estimate.value:.3f} (too few to say)"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def estimate_text(stored: Section) -> str:
    """The same of an estimate as a manifest holds it, with None for NaN."""
    kind = CalibrationError if "chance_median" in stored else Estimate
    names = [field.name for field in fields(kind)]
    return text_of(kind(**{name: math.nan if stored[name] is None else stored[name] for name in names}))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Aligned columns: the first to the left, the others to the right."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def metric_name(key: str, task: Task) -> str:
    """A metric's key as a table says it: `positive_auroc` is `malignant auroc` of skin lesions."""
    words = {
        "positive_auroc": f"{task.question.key.replace('_', ' ')} auroc",
        "gravest_auroc": f"{_gravest(task)} auroc",
        "brier_score": "Brier score",
    }
    return words.get(key, key.replace("_", " "))


def _gravest(task: Task) -> str:
    return task.named(task.gravest).name.lower()


def format_sections(manifest: Section, task: Task) -> str:
    """Every study in a manifest as a table; one that has not been run is named with the command that runs it."""
    return "\n\n".join(
        write(manifest[name], task) if name in manifest else f"{title}: not measured; run {command}"
        for name, (title, command, write) in _SECTIONS.items()
        if name in manifest or _can_be_measured(name, manifest, task)
    )


def _can_be_measured(name: str, manifest: Section, task: Task) -> bool:
    """Whether this model could have such a study: of facts of the patient, of repeat photographs, of a camera's field
    that images are cropped to."""
    if name == "shortcut":
        return bool(manifest.get("input", {}).get("crop", "none") != "none")
    return not (name == "clinical" and not task.facts) and not (
        name == "repeatability" and not task.dataset.has_repeats
    )


def read_off_table(point: ReadOff | None, task: Task) -> str:
    """What is read off a model's own curve, for comparing models whatever their thresholds."""
    title = f"Where sensitivity is {READ_OFF_SENSITIVITY:.2f} on these images"
    if point is None:
        return f"{title}: no {task.question.positive.lower()} images"
    negative = task.question.negative.lower()
    rates = {f"{negative}, all": point.specificity}
    if point.confirmed.n:
        rates[f"{negative}, confirmed by histopathology"] = point.confirmed
    rows = [(name, f"{rate.n:,}", f"{point.threshold:.4f}", text_of(rate)) for name, rate in rates.items()]
    return table((title, "images", "threshold", "specificity"), rows)


def _sets(section: Section, task: Task) -> str:
    measured, level = section["measured"], section["sets"]["level"]
    sizes = ", ".join(f"{n}: {share:.1%}" for n, share in enumerate(measured["size_shares"], start=1) if share)
    rows = [
        ("all", f"{measured['images']:,}", estimate_text(measured["coverage"]), f"{measured['mean_size']['value']:.2f}")
    ]
    rows += [
        (one["dx"], f"{one['images']:,}", estimate_text(one["coverage"]), _number(one["mean_size"]))
        for one in measured["coverage_by_dx"]
    ]
    title = f"Sets at {level:.0%} ({section['sets']['method']})"
    return table((title, "images", "coverage", "mean size"), rows) + f"\nsizes: {sizes}"


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.2f}"


def gate_table(section: Section, task: Task) -> str:
    """What share of each source the quality gate refused."""
    rows = [
        (
            row["source"],
            f"{row['images']:,}",
            estimate_text(row["refused"]),
            estimate_text(row["at_the_edge"]) if "at_the_edge" in row else "",
            "refused" if row["should_be_refused"] else "answered",
        )
        for row in section["sources"]
    ]
    return table(("Quality gate", "images", "share refused", "at the edge", "should be"), rows)


def _heatmaps(section: Section, task: Task) -> str:
    of_masks = ("energy_inside", "pointing", "iou") if task.dataset.has_masks else ()
    names = (*of_masks, "insertion", "deletion", "faithfulness")
    rows = [
        (row["method"], str(row["images"]), *(estimate_text(row["measures"][name]) for name in names))
        for row in section["methods"]
    ]
    title = f"Heatmaps against {task.words.subject} masks" if of_masks else "Heatmaps, no masks to hold them against"
    methods = table((title, "images", *(name.replace("_", " ") for name in names)), rows)
    checks = heatmap_checks(section)
    return f"{methods}\n\n{checks}" if checks else methods


def heatmap_checks(section: Section) -> str:
    """How far a heatmap changes under noise, and how alike that of a randomised network is; as far as measured.

    Artifacts from before there were these checks have neither: empty.
    """
    parts = []
    if section.get("noise"):
        noise = section["noise"]
        parts.append(
            f"Largest change under noise of up to {noise['levels']} of 255 levels, {noise['samples']} copies, "
            f"{noise['images']:,} images: {estimate_text(noise['change'])}"
        )
    if section.get("randomisation"):
        names = ("rank_correlation", "absolute_rank_correlation", "correlation")
        images, stages = section["randomisation"]["images"], section["randomisation"]["stages"]
        rows = [
            (_stage_name(stage), str(stage["without_evidence"]), *(estimate_text(stage[name]) for name in names))
            for stage in stages
        ]
        header = (f"Network randomised, {images:,} images", "map empty", *(name.replace("_", " ") for name in names))
        parts.append(table(header, rows))
    return "\n\n".join(parts)


def _stage_name(stage: Section) -> str:
    if stage["part"] == "backbone":
        return f"and {stage['backbone_share']:.1%} of the backbone's layers"
    return {"output": "output layer", "head": "and all above the backbone"}[stage["part"]]


def robustness_table(section: Section, task: Task) -> str:
    """What each perturbation does to decisions and metrics, below the unperturbed images."""
    effects = ("decision_flips", "class_changes", "balanced_accuracy_difference")
    metrics = tuple(section["unperturbed"])
    rows = [("unperturbed", *[""] * len(effects), *(estimate_text(section["unperturbed"][name]) for name in metrics))]
    rows += [
        (
            row["name"],
            *(estimate_text(row[name]) for name in effects),
            *(estimate_text(row["metrics"][name]) for name in metrics),
        )
        for row in section["perturbations"]
    ]
    header = (
        f"Robustness, {section['images']:,} images",
        "decisions flipped",
        "classes changed",
        "bal. acc. difference",
    )
    return table((*header, *(metric_name(name, task) for name in metrics)), rows)


def _retrieval(section: Section, task: Task) -> str:
    rows = [("mean of classes", "", estimate_text(section["macro"]), f"{section['macro_chance']:.3f}")]
    rows += [
        (row["dx"], f"{row['images']:,}", estimate_text(row["precision"]), f"{row['chance']:.3f}")
        for row in section["per_class"]
    ]
    return table((f"Similar cases: precision at {section['count']}", "images", "value", "at random"), rows)


def _subgroups(section: Sequence[Section], task: Task) -> str:
    names = ("balanced_accuracy", "positive_auroc", "sensitivity", "specificity")
    known = {row["attribute"] for row in section if row["group"] != UNKNOWN}
    if not known:
        return f"Subgroups: {task.dataset.name} states neither age nor sex nor site of any image"
    rows = [
        (
            f"{row['attribute']}: {row['group']}",
            f"{row['images']:,}",
            f"{row['positive_lesions']:,}/{row['negative_lesions']:,}",
            *(estimate_text(row[name]) for name in names),
            "too small" if row["is_too_small"] else "",
        )
        for row in section
        if row["attribute"] in known
    ]
    sides = f"{task.question.positive}/{task.question.negative} {task.words.subjects}"
    header = ("Subgroups", "images", sides, *(metric_name(name, task) for name in names), "")
    return table(header, rows)


def clinical_table(section: Section, task: Task) -> str:
    """What age and body site add to the image, on held-out folds and on the locked test lesions."""
    rows = []
    for key, name in (("out_of_fold", "out of fold"), ("measured", "locked test")):
        part = section[key]
        for metric, gain in part["gain"].items():
            values = (part["image_alone"][metric], part["with_facts"][metric], gain)
            rows.append((f"{name}: {metric_name(metric, task)}", *map(estimate_text, values)))
    return table(("Age and body site", "image alone", "with what is known", "gain"), rows)


def external_tables(sections: Sequence[Section], task: Task) -> str:
    """What was measured at other clinics: a source below the other, each with its thresholds end to end."""
    return "\n\n".join(_external(section, task) for section in sections)


def _external(section: Section, task: Task) -> str:
    kinds = {"positive": task.question.positive, "gravest": task.named(task.gravest).name, "negative": "others"}
    if "positive_auroc" in section:
        kinds["negative"] = task.question.negative
    fates = ("flagged", "not_flagged", "not_answered")
    rows = [
        (f"{point['name']}: {kinds[kind]}", f"{outcome['flagged']['n']:,}", *(estimate_text(outcome[f]) for f in fates))
        for point in section["points"]
        for kind, outcome in point["outcomes"].items()
    ]
    rows += [
        (f"{point['name']}: {name} of the answered", f"{rate['n']:,}", estimate_text(rate), "", "")
        for point in section["points"]
        for name, rate in point["answered"].items()
    ]
    header = (f"{section['name']}, {section['images']:,} images", "n", *(fate.replace("_", " ") for fate in fates))
    figures = [
        (metric_name(key.removesuffix("_with_refused"), task) + suffix, estimate_text(section[key]))
        for key, suffix in (
            ("gravest_auroc", ", answered"),
            ("gravest_auroc_with_refused", ", refused ones too"),
            ("positive_auroc", ", answered"),
            ("positive_auroc_with_refused", ", refused ones too"),
        )
        if key in section
    ]
    if section["calibration_error"] is not None:
        figures.append(("calibration error", estimate_text(section["calibration_error"])))
    sets = section["sets"]
    figures.append((f"mean size of the {sets['level']:.0%} sets", estimate_text(sets["mean_size"])))
    figures += [
        (f"coverage, {row['dx']} (n = {row['coverage']['n']:,})", estimate_text(row["coverage"]))
        for row in sets["coverage"]
    ]
    figures += [
        (f"refused, {row['dx']} (n = {row['refused']['n']:,})", estimate_text(row["refused"]))
        for row in section["refused"]
    ]
    return f"{table(header, rows)}\n{table((section['model'], 'value'), figures)}"


def repeatability_table(section: Section, task: Task) -> str:
    """How far two photographs of one lesion differ, by level of the probability of one and of the mean of both."""
    rows = [
        (
            f"{name} {level['low']:.2f} to {level['high']:.2f}",
            f"{level['pairs']:,}",
            f"{level['lesions']:,}",
            estimate_text(level["median"]),
            estimate_text(level["largest"]),
        )
        for key, name in (("of_one", "one"), ("of_mean", "mean"))
        for level in section[key]
    ]
    header = (f"Two images of one {task.words.subject}: p({task.question.key})", "pairs", task.words.subjects)
    return table((*header, "half differ by at most", f"{section['share']:.0%} differ by at most"), rows)


CLUES = {
    "field": "box around the camera's field",
    "file_size": "size of the file",
    "circle": "margins left after the crop to the circle",
    "band": "margins left after the crop to its band",
    "whole": "the networks, where the whole disc is seen",
    "cut_off": "the networks, where it is cut off",
}


def shortcut_table(section: Section, task: Task) -> str:
    """How far a random forest tells the class from what the camera alone leaves in an image."""
    names = [name for name in ("weighted_kappa", "balanced_accuracy", "positive_auroc") if section["clues"][0][name]]
    rows = [
        (
            CLUES[clue["key"]] + (", which this model takes" if clue["key"] == section["crop"] else ""),
            f"{clue.get('images', section['images']):,}",
            *(estimate_text(clue[name]) for name in names),
        )
        for clue in (*section["clues"], *section.get("networks", ()))
    ]
    field = section["field"]
    title = f"The camera alone, {task.words.images} out of fold"
    above, below = (_share(field[f"median_cut_{side}"]) for side in ("above", "below"))
    found = (
        f"field found in {field['found']:,}, the whole disc seen in {field['whole']:,}; the others miss {above} of its "
        f"height above and {below} below (median)"
    )
    return table((title, "images", *(metric_name(name, task) for name in names)), rows) + f"\n{found}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _reliability(section: Section, task: Task) -> str:
    bins = section["top_class"]
    rows = [
        (f"{stated:.3f}", f"{observed:.3f}", f"{images:,}")
        for stated, observed, images in zip(bins["stated"], bins["observed"], bins["images"], strict=True)
        if images
    ]
    return table(("Most probable class: stated", "observed", "images"), rows)


_SECTIONS: dict[str, tuple[str, str, Callable[[Any, Task], str]]] = {
    "reliability": ("Reliability", "python -m model.export", _reliability),
    "conformal": ("Prediction sets", "python -m model.export", _sets),
    "clinical": ("Age and body site", "python -m model.studies.clinical", clinical_table),
    "gate": ("Quality gate", "python -m model.studies.gate", gate_table),
    "heatmaps": ("Heatmaps", "python -m model.studies.heatmaps", _heatmaps),
    "robustness": ("Robustness", "python -m model.studies.robustness", robustness_table),
    "shortcut": ("The camera alone", "python -m model.studies.shortcut", shortcut_table),
    "external": ("Other clinics", "python -m model.studies.external", external_tables),
    "repeatability": ("Repeatability", "python -m model.studies.repeatability", repeatability_table),
    "retrieval": ("Similar cases", "python -m model.export", _retrieval),
    "subgroups": ("Subgroups", "python -m model.export", _subgroups),
}
