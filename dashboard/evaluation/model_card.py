"""The model card of an artifact, drawn from its manifest: every figure on it was written by a command.

Source:
    Mitchell et al., FAT* 2019, doi:10.1145/3287560.3287596 (model cards).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.answer import wording as answer_wording
from dashboard.evaluation.studies import elsewhere_wording, heatmap_wording, trust_wording
from dashboard.evaluation.studies.trust_tables import (
    CHANCE,
    estimate_columns,
    gate_frame,
    number,
    outcome_frame,
    retrieval_frame,
    robustness_frame,
    sets_frame,
    subgroup_frame,
)
from dashboard.evaluation.tables import headlines
from dashboard.shell.formats import one_decimal, percent, plural
from dashboard.shell.glossary import metric_of, standout_meaning
from dashboard.shell.metrics import Metric, with_chance, with_interval
from data.tasks.task import Task
from model.inference.artifact import Artifact
from model.inference.manifest import RecipeFacts

RATES = ("sensitivity", "specificity")
LIMITS = """
- {selection} Predictive values change with prevalence: see the Evaluation page.
- **Resolution.** The networks look at {width} x {height} px; they were trained on files of {source_width} x
  {source_height} px. Larger images are reduced the same way before they see them; fine structures are lost.
- **Heatmaps** show what raised a class score in these networks, on a coarse grid. They prove nothing.
"""
LICENCES = """
The program is under the MIT licence. The **weights** were trained on {dataset}, which is {licence}, and may be used
{terms}. They start from published weights of ImageNet (`{init}`; Apache 2.0). The synthetic samples were drawn by this
program and belong to it.
"""
# Where nothing is stated of a dataset.
SELECTION = "**Selected {subjects}.** The {subjects} of {dataset} and their {labels} may be others than yours."
LICENCE, TERMS = "under a licence of its own", "as far as that licence allows"


def model_card(artifact: Artifact) -> None:
    """Draw the card."""
    manifest, task = artifact.manifest, artifact.task
    st.markdown("## Intended use")
    description = artifact.description
    st.markdown(description.model_card.intended_use)
    st.markdown("## What it was measured to do")
    st.caption(_measured_on(task, manifest))
    left, right = st.columns([4, 5], gap="medium")
    left.dataframe(summary_table(task, manifest["metrics"]), hide_index=True, width="stretch")
    right.dataframe(operating_point_table(artifact), hide_index=True, width="stretch")
    right.dataframe(class_table(task, manifest["metrics"]), hide_index=True, width="stretch")
    st.markdown("## How far to trust it")
    st.markdown(trust(task, manifest))
    st.markdown("## Limits")
    source_width, source_height = description.training.source_pixels
    st.markdown(
        LIMITS.format(
            selection=task.dataset.selection or task.worded(SELECTION),
            width=artifact.width,
            height=artifact.height,
            source_width=source_width,
            source_height=source_height,
        )
    )
    st.markdown("## Not tested")
    st.markdown("\n".join(f"- {line}" for line in description.model_card.not_tested))
    st.markdown("## Data, split and training")
    st.markdown(data_and_training(artifact))
    st.markdown("## Licence")
    licence, terms = task.dataset.licence or LICENCE, task.dataset.terms or TERMS
    st.markdown(task.worded(LICENCES, licence=licence, terms=terms, init=description.training.recipe.init))
    st.markdown("## Provenance")
    st.markdown(provenance(artifact))
    with st.expander("The whole manifest"):
        st.json(manifest, expanded=1)


def _measured_on(task: Task, manifest: dict[str, Any]) -> str:
    metrics = manifest["metrics"]
    return (
        f"{metrics['data']}, {metrics['split']} {task.words.subjects}: {metrics['images']:,} images of "
        f"{metrics['lesions']:,} {task.words.subjects} that nothing was trained, chosen or calibrated on. "
        f"95 % intervals by {task.words.subject}."
    )


def _shown(metric: Metric, estimate: Mapping[str, float | None]) -> str:
    value, low, high = (number(estimate[name]) for name in ("value", "low", "high"))
    if CHANCE[0] in estimate:
        median, limit = (number(estimate[name]) for name in CHANCE)
        return with_chance(metric, value, median, limit)
    return with_interval(metric, value, low, high)


def summary_table(task: Task, metrics: dict[str, Any]) -> pd.DataFrame:
    """Overall metrics with their intervals."""
    commonest = max(metrics["per_class"], key=lambda row: row["images"])
    share = commonest["images"] / metrics["images"]
    names = {
        "balanced_accuracy": "Balanced accuracy (mean sensitivity of the {count} classes)",
        "weighted_kappa": "Quadratic weighted kappa (0 is chance)",
        "grade_error": "Mean miss, in {labels}",
        "macro_auroc": "AUROC, mean of the {count} classes",
        "positive_auroc": "AUROC, {positive} against {negative}",
        "calibration_error": "Expected calibration error (0 is perfect)",
        "accuracy": f"Accuracy (always answering {commonest['dx']} scores {percent(share)})",
    }
    rows = [
        (asking.worded(names[key]), _shown(metric_of(key, asking), measured))
        for key, asking, measured in headlines(task, metrics)
    ]
    return pd.DataFrame(rows, columns=["Metric", "Value (95 % interval)"])


def operating_point_table(artifact: Artifact) -> pd.DataFrame:
    """Thresholds on the probability of the positive side of each question, and what they were measured to do."""
    task = artifact.task
    rows = [
        (
            *((question.positive.capitalize(),) if task.further else ()),
            answer_wording.operating_point_name(point),
            one_decimal(point.threshold),
            *(_shown(metric_of(rate, task), vars(getattr(point, rate))) for rate in RATES),
        )
        for question in task.questions
        for point in artifact.points_of(question.key)
    ]
    asked = ["Question"] if task.further else []
    return pd.DataFrame(rows, columns=[*asked, "Set to", "Threshold", "Sensitivity", "Specificity"])


def class_table(task: Task, metrics: dict[str, Any]) -> pd.DataFrame:
    """Sensitivity, specificity and AUROC of each class against the rest."""
    rows = [
        (
            task.titled(one.code),
            row["images"],
            *(_shown(metric_of(rate, task), row[rate]) for rate in (*RATES, "auroc")),
        )
        for one, row in zip(task.classes, metrics["per_class"], strict=True)
    ]
    return pd.DataFrame(rows, columns=[task.words.label.capitalize(), "Images", "Sensitivity", "Specificity", "AUROC"])


def trust(task: Task, manifest: dict[str, Any]) -> str:
    """What the studies found, a line each; a study that has not been run says what runs it."""
    lines: dict[str, Callable[[Task, Any], str]] = {
        "reliability": lambda task, _: _calibration_found(task, manifest["metrics"]),
        "conformal": _sets_found,
        "clinical": trust_wording.clinical_found,
        "subgroups": _subgroups_found,
        "robustness": _robustness_found,
        "gate": lambda task, section: trust_wording.gate_found(task, gate_frame(section)),
        "external": lambda task, section: elsewhere_wording.found(task, outcome_frame(section)),
        "heatmaps": heatmap_wording.found,
        "retrieval": _retrieval_found,
    }
    # No subgroups are a finding as well: nothing is known of the images.
    measured = [key for key in lines if manifest.get(key) or (key == "subgroups" and key in manifest)]
    found = {key: lines[key](task, manifest[key]) for key in measured}
    return "\n".join(
        f"- **{trust_wording.study_of(task, key).heading}:** {found.get(key) or _not_found(task, key)}"
        for key in trust_wording.STUDIES
    )


def _not_found(task: Task, key: str) -> str:
    return trust_wording.missing(task, key) or trust_wording.study_of(task, key).sentence


def _calibration_found(task: Task, metrics: dict[str, Any]) -> str:
    row = {"images": metrics["images"], **estimate_columns({"calibration_error": metrics["calibration_error"]})}
    return trust_wording.calibration_found(task, row)


def _sets_found(task: Task, section: dict[str, Any]) -> str:
    table = sets_frame(section["measured"])
    return trust_wording.sets_found(task, table, section["sets"]["level"])


def _subgroups_found(task: Task, section: list[dict[str, Any]]) -> str:
    table = subgroup_frame(section)
    if table.empty:
        return task.worded(trust_wording.NO_GROUPS)
    return " ".join(trust_wording.lowest_and_highest(task, table, rate) for rate in ("positive_auroc", "sensitivity"))


def _robustness_found(task: Task, section: dict[str, Any]) -> str:
    return trust_wording.robustness_found(task, robustness_frame(section))


def _retrieval_found(task: Task, section: dict[str, Any]) -> str:
    return trust_wording.retrieval_found(task, retrieval_frame(section), section["count"])


def data_and_training(artifact: Artifact) -> str:
    """How the weights came about, from the manifest."""
    description, task = artifact.description, artifact.task
    training, split, network = description.training, description.split, description.network
    recipe, part = training.recipe, training.training
    averaged = recipe.averaged_epochs
    weights = "those of its last epoch" if averaged == 1 else f"the mean of its last {averaged} epochs"
    if recipe.init_share:
        weights += f", and for {percent(recipe.init_share)} those of the network that it was trained on from"
    source_width, source_height = training.source_pixels
    calibration, subjects, label = artifact.calibration, task.words.subjects, task.words.label
    decision = description.decision.removeprefix("the ")
    return f"""
- **Data:** {training.data}; {part.images:,} images of {part.lesions:,} {subjects} in training.{_labels(task)}
- **Split:** by `{split.by}`, seed {split.seed}; {percent(split.test_share)} of the {subjects} of each {label} are a
  locked test part, the others lie in {split.folds} folds.
- **Networks:** {_networks(network.members, len(split.out_of_fold))}
  `{network.backbone}`, {network.parameters:,} parameters in all, input
  {artifact.width} x {artifact.height} px; initial weights `{recipe.init}`.
- **Training:** epochs by phase: {_phases(training.epochs_by_fold)}; the weights of a network are {weights};
  class sampling `{recipe.sampling}`; seed {recipe.seed}; image files of {source_width} x {source_height} px.
{_masks(task, recipe)}- {_chosen_on(artifact)} From them come the temperature ({calibration.temperature:.2f}) and
  prior correction of the calibration, for {calibration.population}; the thresholds; and the prediction sets.
- **Quality check:** {_gate_chosen_on(task, artifact.manifest["quality"])}
- **{task.standout.capitalize()}:** {standout_meaning(task, calibration.population)} It is the {decision}.
"""


def _networks(served: int, folds: int) -> str:
    """How many networks answer, and what the others of their recipe were trained for."""
    alone = f"{plural(served, 'network')}, {'trained' if served == 1 else 'each trained'} without one of the folds"
    if served >= folds:
        return f"{alone}." if served == 1 else f"{alone}; the answer is the mean of their scores."
    others = plural(folds - served, "network")
    return f"{alone}; {others} more of the same recipe, not served, answered the other folds."


def _chosen_on(artifact: Artifact) -> str:
    """Which images calibration, thresholds and sets were chosen on; of a recalibrated model those of a clinic."""
    description, subjects = artifact.description, artifact.task.words.subjects
    part, derived = description.calibration.chosen_on, description.derived_from
    counted = f"{part.images:,} images of {part.lesions:,} {subjects}."
    if derived is None:
        return (
            "**Chosen on out-of-fold predictions** (every image is answered by the network that was not trained on its "
            f"fold): {counted}"
        )
    return (
        f"**Recalibrated:** the networks are those of {derived.name} {derived.version}, unchanged. Half of the "
        f"labelled images of {derived.source}, {derived.measured_on.images:,} of {derived.measured_on.lesions:,} "
        f"{subjects}, was kept to measure on (*Other clinics*). Chosen on the other half: {counted}"
    )


def _phases(epochs_by_fold: Mapping[str, Mapping[str, int]]) -> str:
    """`folds 0, 1: head 1, full resolution 6; fold 2: ...`: networks with the same epochs together."""
    folds: dict[str, list[str]] = {}
    for fold, phases in epochs_by_fold.items():
        folds.setdefault(", ".join(f"{phase} {count}" for phase, count in phases.items()), []).append(fold)
    return "; ".join(f"fold{'s' if which[1:] else ''} {', '.join(which)}: {epochs}" for epochs, which in folds.items())


def _gate_chosen_on(task: Task, quality: Mapping[str, Any]) -> str:
    """Which images set its limits: a list of parts, the training images first."""
    parts = [
        f"{plural(part['images'], 'image')} of {plural(part['lesions'], task.words.subject, task.words.subjects)} "
        f"({part['part'].replace('_', ' ')})"
        for part in quality.get("chosen_on", ())
    ]
    source = f"its limits come from {' and '.join(parts)}; " if parts else ""
    return f"{source}the limit on distance lets {percent(quality['gate_acceptance'])} of the held-out images pass."


def _labels(task: Task) -> str:
    """How the classes were found, where the dataset says so."""
    if not task.dataset.labelled_by:
        return ""
    made = f" {task.words.labels.capitalize()} by {task.dataset.labelled_by}"
    # Where the dataset says so of each image.
    return f"{made}; how a {task.words.label} was made never enters the model." if task.facts else f"{made}."


def _masks(task: Task, recipe: RecipeFacts) -> str:
    """A line of the list; empty where there are none."""
    if not task.dataset.has_masks:
        return ""
    name = f"- **{task.words.subject.capitalize()} masks:**"
    if not (recipe.lesion_weight or recipe.map_weight):
        return f"{name} not used.\n"
    return (
        f"{name} in training, two more losses teach the network where the {task.words.subject} is and that the map of "
        f"the true class should lie on it (weights {recipe.lesion_weight:g} and {recipe.map_weight:g}). An answer "
        "needs no mask.\n"
    )


def provenance(artifact: Artifact) -> str:
    """Version, time, command, commit and hashes."""
    created = artifact.description.created
    commit, _, rest = created.commit.partition(" ")
    files = "\n".join(
        f"- `{name}`, {entry['bytes'] / 1e3:,.0f} kB, SHA-256 `{entry['sha256']}`"
        for name, entry in artifact.manifest["files"].items()
    )
    return (
        f"Model **{artifact.name} {artifact.version}**, exported {created.utc} by `{created.command}` at commit "
        f"`{commit[:12]}`{' ' if rest else ''}{rest}.\n\n{files}"
    )
