"""What tests of the heatmaps found, in sentences that follow from the figures stored in an artifact's manifest.

A sentence that compares says "more" or "less" only where the interval leaves out 0. Artifacts from before there was a
test have no figure of it: then there is no sentence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dashboard.shell.formats import plural
from dashboard.shell.glossary import metric_of
from dashboard.shell.metrics import Metric, n_of, with_interval
from data.tasks.task import Task
from model.studies.heatmap_summary import GRAD_CAM, NOISE, OUT_OF_FOLD, SPOT

Section = Mapping[str, Any]


def tested_on(task: Task, section: Section) -> str:
    """The lesions of the study: `locked test lesions of HAM10000`, or those that the networks were not trained on."""
    subjects, dataset = task.words.subjects, task.dataset.name
    if section.get("split") == OUT_OF_FOLD:
        return f"{subjects} of {dataset}, each answered by a network that was not trained on it"
    return f"locked test {subjects} of {dataset}"


def study_data(task: Task, section: Section) -> str:
    """The same with how many images and lesions: the data of the study's table."""
    lesions = plural(section["lesions"], task.words.subject, task.words.subjects)
    return f"{tested_on(task, section)}, {plural(section['images'], 'image')}, {lesions}"


def findings(task: Task, section: Section) -> list[str]:
    """All that the tests found, a sentence or two each; none where nothing was measured."""
    found = (against_spot(section), randomisation_found(task, section), noise_found(task, section))
    return [sentence for sentence in found if sentence]


def found_in_full(task: Task, section: Section | None) -> str:
    """The same as Markdown, with what they were measured on; empty where nothing was measured."""
    if section is None:
        return ""
    bullets = [f"- {sentence}" for sentence in findings(task, section)]
    if not bullets:
        return ""
    return "\n".join([f"What tests of the heatmap found, on {tested_on(task, section)}:\n", *bullets])


def against_spot(section: Section) -> str:
    """Whether the score depends on where the map is hot more than on a plain spot, and how far off a random map is."""
    spot, noise = (_compared_with(section, other) for other in (SPOT, NOISE))
    if spot is None:
        return ""
    difference = spot["measures"]["faithfulness"]
    word = "more than" if difference["low"] > 0 else "less than" if difference["high"] < 0 else "about as much as"
    yardstick = "" if noise is None else f"; against a random map it is {_signed(noise['measures']['faithfulness'])}"
    return (
        f"As the image is blurred part by part, the score depends on where the map is hot {word} on a plain spot in "
        f"the middle, which knows nothing of the image: the difference is {_signed(difference)}, "
        f"{n_of(spot['faithfulness_images'])}{yardstick}."
    )


def _compared_with(section: Section, other: str) -> Section | None:
    pairs = [row for row in section["comparisons"] if (row["method"], row["other"]) == (GRAD_CAM, other)]
    return pairs[0] if pairs and pairs[0]["measures"]["faithfulness"]["value"] is not None else None


def _signed(stored: Section) -> str:
    return f"{stored['value']:+.2f} ({stored['low']:+.2f} to {stored['high']:+.2f})"


_NO_LIKENESS = "No likeness could be measured."


def randomisation_found(task: Task, section: Section) -> str:
    """What is left of the map when the network loses what tells classes apart, and all that it has learned."""
    if not section.get("randomisation"):
        return ""
    images, stages = section["randomisation"]["images"], section["randomisation"]["stages"]
    metric = metric_of("absolute_rank_correlation", task)
    output, whole = (stage["absolute_rank_correlation"] for stage in (stages[0], stages[-1]))
    if output["value"] is None or whole["value"] is None:
        return ""
    label = task.words.label
    of_output = (
        f"What is left is where the network looks, whatever the {label}: it is no sign of this one."
        if output["low"] > 0
        else _NO_LIKENESS
    )
    of_whole = "That likeness does not come from what the network has learned." if whole["low"] > 0 else _NO_LIKENESS
    return (
        f"With the weights of the network's last layer shuffled, so that it cannot tell one {label} from another, the "
        f"likeness of the map to the true one, from 0 for none to 1 for the same, is "
        f"{_estimate(output, metric, images)}. {of_output} With all weights shuffled it is {_estimate(whole, metric)}. "
        f"{of_whole}"
    )


def noise_found(task: Task, section: Section) -> str:
    """How far noise that nobody sees changes the map at most."""
    noise = section.get("noise")
    if not noise or noise["change"]["value"] is None:
        return ""
    change = _estimate(noise["change"], metric_of("noise_change", task))
    return (
        f"Noise that is too faint to see (at most {noise['levels']} of 255 levels, {noise['samples']} draws) changes "
        f"the map by up to {change} of itself on average, {n_of(noise['images'])}. A steady map "
        "need not be right."
    )


def _estimate(stored: Section, metric: Metric, count: int | None = None) -> str:
    value, low, high = (math.nan if stored[bound] is None else stored[bound] for bound in ("value", "low", "high"))
    return with_interval(metric, value, low, high, count)
