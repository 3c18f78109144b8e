"""Functions that draw the Review page's panels beside and below the answer; most are fragments of their own.

What costs a pass of the network or a picture is made when it is asked for or opened. Warnings never wait for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from dashboard.answer import wording as answer_wording
from dashboard.resources import answers, dataset, models
from dashboard.review import evidence_wording as wording
from dashboard.review import state
from dashboard.review import wording as review_wording
from dashboard.shell.glossary import metric_of
from dashboard.shell.widgets import explained_errors, html_table
from data.tasks.task import Task
from model.analysis.analyzer import SIMILAR_CASES, Analysis
from model.explain.maps import (
    AGAINST_COLOUR,
    FOR_COLOUR,
    LESION_THRESHOLD,
    Explanation,
    Heatmap,
    contrast,
    contrast_overlay,
    share_inside,
)
from model.explain.neighbours import Neighbour
from model.explain.stress import StressResult, stress_test, stresses_of
from model.images.rejection import RgbImage
from model.inference.artifact import Artifact
from model.inference.classifier import Prediction
from model.inference.clinical import NO_FACTS, PatientFacts
from model.inference.measured import OperatingPoint
from model.measures.metrics import reweigh_ppv_npv, reweigh_probability

MIN_PREVALENCE, MAX_PREVALENCE, PREVALENCE_STEP = 0.005, 0.5, 0.005
# The contrast map is coarse, and the viewer above shows the image at full size.
CONTRAST_SIDE = 640  # pixels
SIMILAR_CARD_WIDTH = 150  # pixels; six side by side on a wide screen, two on a phone
# Of an image from itself: float16 storage moves a distance by less (`model.explain.neighbours.NeighbourIndex`).
SAME_IMAGE_DISTANCE = 0.001
# A drawn ruler needs no more, and drawing takes its time.
STRESS_SIDE = 1024  # pixels
FLIP_SIDE = 320  # pixels
STRESS_SEED = 0
STRESS_FRAGMENT = "review_stress_panel"
_STRESSED = "review_stress"
# Panels whose content is made when they are opened.
PREVALENCE_PANEL, CONTRAST_PANEL, SIMILAR_PANEL = "review_prevalence_panel", "review_contrast", "review_similar"


@dataclass(frozen=True)
class _Stressed:
    """The stress test of one image at one threshold, with a picture of each change that turned the decision.

    Attributes:
        facts: that the answers took into account.
        flipped: (H, W, 3) uint8 RGB by the key of the change.
    """

    image_sha256: str
    threshold: float
    facts: PatientFacts
    result: StressResult
    flipped: dict[str, RgbImage]


def chosen_operating_point(artifact: Artifact) -> OperatingPoint:
    """The operating point chosen in the answer, the first at the start."""
    name = st.session_state.get(state.OPERATING_POINT)
    return next((point for point in artifact.operating_points if point.name == name), artifact.operating_points[0])


# --- In the answer ---------------------------------------------------------------------------------------------------


def prediction_set(prediction: Prediction, artifact: Artifact, threshold: float) -> None:
    """The prediction set, what such sets were measured to hold, how far the networks agree."""
    sets = artifact.conformal
    st.markdown(
        f"**{answer_wording.prediction_set(prediction.task, prediction.conformal_set, sets.level)}**",
        help=review_wording.set_help(prediction.task, sets),
    )
    remark = review_wording.set_without_predicted(prediction)
    if remark is not None:
        st.warning(remark, icon=":material/call_split:")
    measured = artifact.manifest["conformal"]["measured"]
    if prediction.facts != NO_FACTS:
        measured = measured | artifact.manifest["clinical"]["measured"]["with_facts"]["sets"]
    st.caption(review_wording.set_meaning(prediction.task, measured))
    agreement = answer_wording.agreement(prediction.task, prediction.member_p_positive, threshold)
    if agreement is not None:
        sentence, is_one_side = agreement
        st.caption(sentence) if is_one_side else st.warning(sentence, icon=":material/call_split:")


def other_prevalence(prediction: Prediction, artifact: Artifact, point: OperatingPoint) -> None:
    """What a flag, no flag and this image's probability mean where another share of the lesions is malignant."""
    share = sum(artifact.calibration.prior[index] for index in artifact.task.positives)
    task = artifact.task
    with st.expander(task.worded(wording.PREVALENCE_HEADING), key=PREVALENCE_PANEL, on_change="rerun") as panel:
        if not panel.open:
            return
        prevalence = st.slider(
            task.worded(wording.PREVALENCE_LABEL),
            MIN_PREVALENCE,
            MAX_PREVALENCE,
            value=min(max(share, MIN_PREVALENCE), MAX_PREVALENCE),
            step=PREVALENCE_STEP,
            format="percent",
            key="review_prevalence",
            persist_state="session",
        )
        (ppv, npv), (ppv_low, npv_low), (ppv_high, npv_high) = (
            reweigh_ppv_npv(getattr(point.sensitivity, end), getattr(point.specificity, end), prevalence)
            for end in ("value", "low", "high")
        )
        st.markdown(wording.flagged_at(task, ppv, ppv_low, ppv_high), help=metric_of("ppv", task).tooltip)
        st.markdown(wording.unflagged_at(task, npv, npv_low, npv_high), help=metric_of("npv", task).tooltip)
        reweighed = reweigh_probability(prediction.p_positive, share, prevalence)
        st.markdown(wording.this_image_at(prediction, reweighed, share, prevalence))
        st.caption(wording.prevalence_limits(task, point))


# --- Evidence of one class -------------------------------------------------------------------------------------------


@st.fragment
def evidence(analysis: Analysis, dx: str) -> None:
    """Where a class's heatmap lies and whether it stays there, and one class against another.

    One fragment, for each costs as much as a dozen widgets.

    Args:
        analysis: an image that was answered.
        dx: the class chosen first.
    """
    _place(analysis, dx)
    _contrast_panel(analysis)


def _place(analysis: Analysis, dx: str) -> None:
    prediction, explanation = analysis.answered.prediction, analysis.answered.explanation
    task = prediction.task
    st.markdown(f"## {wording.EVIDENCE_HEADING}")
    choice, inside, stability = st.columns(3, gap="medium")
    with choice:
        chosen = _class_selectbox(wording.EVIDENCE_CLASS, task.codes, dx, task, analysis)
    if not explanation.has_evidence(chosen):
        st.info(answer_wording.no_evidence(task, chosen, prediction.dx), icon=":material/filter_none:")
        return
    if analysis.output.lesion is not None:
        with inside:
            share = _share_inside(explanation, analysis.output.lesion, chosen)
            st.metric(
                task.worded(wording.INSIDE_LABEL), wording.inside_value(share), help=task.worded(wording.INSIDE_HELP)
            )
            st.caption(wording.inside_meaning(task, share))
    with stability:
        _stability(analysis, chosen)


def _stability(analysis: Analysis, dx: str) -> None:
    """How steady the heatmap is, once the reader has asked for it; until then, that it was not measured."""
    task, is_asked = analysis.answered.prediction.task, f"review_steady_{analysis.image_sha256}"
    if not st.session_state.get(is_asked):
        place = st.empty()
        with place.container():
            st.metric(wording.STABILITY_LABEL, wording.NOT_MEASURED, help=wording.stability_help(task))
            st.caption(wording.STABILITY_WAITS)
            if not st.button(wording.STABILITY_BUTTON, key="review_measure_stability"):
                return
        place.empty()
        st.session_state[is_asked] = True
    with explained_errors(), st.spinner(wording.COMPUTING_STABILITY):
        correlation = answers.stability(analysis.image_sha256, dx, analysis)
        st.metric(wording.STABILITY_LABEL, wording.stability_value(correlation), help=wording.stability_help(task))
        st.caption(wording.stability_meaning(task, correlation))


def _share_inside(explanation: Explanation, lesion: Heatmap, dx: str) -> float:
    """NaN where the networks see no lesion: a share of 0 would say that they see one elsewhere."""
    has_lesion = bool((lesion >= LESION_THRESHOLD).any())
    return share_inside(explanation.heatmap(dx), lesion) if has_lesion else float("nan")


def _class_selectbox(label: str, options: tuple[str, ...], dx: str, task: Task, analysis: Analysis) -> str:
    """A choice of class that starts at `dx` for every new image."""
    return st.selectbox(
        label,
        options,
        index=options.index(dx),
        format_func=task.titled,
        key=f"review_{label}_{analysis.image_sha256}",
        filter_mode=None,
    )


# --- Contrast --------------------------------------------------------------------------------------------------------


def _contrast_panel(analysis: Analysis) -> None:
    """Where the image speaks for one class rather than another; drawn when it is opened."""
    heading = analysis.answered.prediction.task.worded(wording.CONTRAST_HEADING)
    with st.expander(heading, key=CONTRAST_PANEL, on_change="rerun") as panel:
        if panel.open:
            _contrast(analysis)


def _contrast(analysis: Analysis) -> None:
    prediction, explanation = analysis.answered.prediction, analysis.answered.explanation
    task = prediction.task
    first, second = wording.contrast_pair(prediction)
    height, width = analysis.image.shape[:2]
    picture, choice = st.columns([3, 2] if width >= height else [2, 3], gap="medium")
    with choice:
        dx = _class_selectbox("Why", task.codes, first, task, analysis)
        others = tuple(code for code in task.codes if code != dx)
        other = _class_selectbox("rather than", others, second if second != dx else first, task, analysis)
        difference = contrast(analysis.output.maps, task.index(dx), task.index(other))
        st.html(contrast_legend_html(task, dx, other))
        st.markdown(wording.contrast_balance(difference, dx, other))
        st.caption(task.worded(wording.CONTRAST_LIMITS))
    image = _small(analysis.image, CONTRAST_SIDE)
    picture.image(
        contrast_overlay(image, difference, explanation.framing.scaled(CONTRAST_SIDE)),
        width="stretch",
        output_format="JPEG",
        alt=wording.contrast_alt(task, dx, other),
    )


def _small(image: RgbImage, max_side: int) -> RgbImage:
    """The image at the size that `Framing.scaled` gives it."""
    small = Image.fromarray(image)
    small.thumbnail((max_side, max_side))
    return np.asarray(small)


def contrast_legend_html(task: Task, dx: str, other: str) -> str:
    """What the two colours say, in words."""
    rows = "".join(
        f"<div role='listitem'><i style='background:rgb{colour}'></i>{name} favours "
        f"{escape(task.named(code).name)} <b>{code}</b></div>"
        for name, colour, code in (("Orange", FOR_COLOUR, dx), ("Blue", AGAINST_COLOUR, other))
    )
    clear = "<div role='listitem'><i></i>Clear: favours neither</div>"
    return f"<div class='lens-legend' role='list' aria-label='Colours of the map'>{rows}{clear}</div>"


# --- Similar cases ---------------------------------------------------------------------------------------------------


@st.fragment
def similar_cases(analysis: Analysis) -> None:
    """What the nearest training lesions say of this answer; the lesions themselves are drawn when they are opened."""
    prediction = analysis.answered.prediction
    analyzer = models.analyzer()
    nearest, *others = analyzer.similar_cases(analysis.output, SIMILAR_CASES + 1)
    is_seen = nearest.distance < SAME_IMAGE_DISTANCE
    neighbours = others if is_seen else [nearest, *others][:SIMILAR_CASES]
    st.markdown(f"## {wording.SIMILAR_HEADING}", help=prediction.task.worded(wording.SIMILAR_HELP))
    if is_seen:
        st.warning(wording.seen_in_training(prediction.task, nearest), icon=":material/school:")
    remark = wording.neighbours_disagree(prediction.task, neighbours, prediction.dx)
    if remark is not None:
        st.warning(remark, icon=":material/compare:")
    label = prediction.task.worded(wording.SIMILAR_LABEL)
    with st.expander(label, key=SIMILAR_PANEL, on_change="rerun") as panel:
        if panel.open:
            _similar_cases(prediction.task, neighbours)
    if "retrieval" in analyzer.artifact.manifest:
        st.caption(wording.retrieval(analyzer.artifact.task, analyzer.artifact.manifest["retrieval"]))


def _similar_cases(task: Task, neighbours: Sequence[Neighbour]) -> None:
    thumbnails = [dataset.thumbnail(neighbour.image_id) for neighbour in neighbours]
    with st.grid(SIMILAR_CASES, min_column_width=SIMILAR_CARD_WIDTH, gap="small") as grid:
        for neighbour, thumbnail in zip(neighbours, thumbnails, strict=True):
            with grid.cell():
                _similar_case(task, neighbour, thumbnail)
    if not any(thumbnails):
        st.caption(task.worded(wording.NO_THUMBNAILS))


def _similar_case(task: Task, neighbour: Neighbour, thumbnail: bytes | None) -> None:
    if thumbnail is not None:
        name = task.named(neighbour.dx).name
        st.image(thumbnail, width="stretch", alt=f"{task.words.image.capitalize()} {neighbour.image_id}, {name}")
    st.html(neighbour_html(task, neighbour))


def neighbour_html(task: Task, neighbour: Neighbour) -> str:
    """The facts of a similar case under the colour of its diagnosis."""
    lines = "".join(f"<p>{escape(line)}</p>" for line in wording.neighbour_lines(task, neighbour))
    return (
        f"<div class='lens-case' style='border-color:{task.named(neighbour.dx).colour}'>"
        f"<p><b>{neighbour.dx}</b> {escape(task.named(neighbour.dx).name)}</p>"
        f"{lines}<p>distance {neighbour.distance:.2f}</p></div>"
    )


# --- Stress test -----------------------------------------------------------------------------------------------------


@st.fragment(key=STRESS_FRAGMENT)
def stress_panel(analysis: Analysis) -> None:
    """Ask again about changed copies of the image when the user wants it; flips count at the chosen threshold."""
    prediction = analysis.answered.prediction
    facts, task = prediction.facts, prediction.task
    threshold = chosen_operating_point(models.analyzer().artifact).threshold
    meaning = wording.STRESS_HELP if task.artefacts else wording.STRESS_HELP_LIGHT
    st.markdown(f"## {wording.STRESS_HEADING}", help=meaning)
    stressed: _Stressed | None = st.session_state.get(_STRESSED)
    asked = (analysis.image_sha256, threshold, facts)
    if stressed is None or (stressed.image_sha256, stressed.threshold, stressed.facts) != asked:
        offer = st.empty()
        with offer.container():
            st.markdown(wording.stress_intro(task))
            is_wanted = st.button(wording.STRESS_BUTTON, key="review_run_stress", icon=":material/bolt:")
        if not is_wanted:
            return
        offer.empty()
        stressed = None
        with explained_errors():
            stressed = st.session_state[_STRESSED] = _stressed(analysis, threshold, facts)
        if stressed is None:
            return
    _stress_result(
        task,
        stressed,
        most_probable=task.codes[int(np.argmax(prediction.probabilities))],
    )


def _stressed(analysis: Analysis, threshold: float, facts: PatientFacts) -> _Stressed:
    """Runs the test behind a progress bar."""
    analyzer, image = models.analyzer(), _small(analysis.image, STRESS_SIDE)
    task, done = analyzer.artifact.task, 0
    progress = st.progress(0.0, wording.stress_progress(0, task))

    def answer(changed: RgbImage) -> NDArray[np.float64]:
        nonlocal done
        probabilities = analyzer.probabilities(changed, facts)
        done += 1
        progress.progress(done / (len(stresses_of(task)) + 1), wording.stress_progress(done, task))
        return probabilities

    result = stress_test(image, answer, task, threshold, STRESS_SEED)
    progress.empty()
    flipped = {
        change.key: _small(change.apply(image, STRESS_SEED), FLIP_SIDE)
        for change in stresses_of(task)
        if change.key in result.flips
    }
    return _Stressed(analysis.image_sha256, threshold, facts, result, flipped)


def _stress_result(task: Task, stressed: _Stressed, most_probable: str) -> None:
    result = stressed.result
    st.markdown(wording.stress_range(task, result))
    flips = wording.stress_flips(result, stressed.threshold)
    st.warning(flips, icon=":material/swap_vert:") if result.flips else st.markdown(flips)
    if result.flips:
        with st.grid(SIMILAR_CASES, min_column_width=SIMILAR_CARD_WIDTH, gap="small") as grid:
            for outcome in result.outcomes:
                if outcome.is_flipped:
                    with grid.cell():
                        caption = wording.stress_caption(outcome)
                        st.image(stressed.flipped[outcome.key], caption, width="stretch", alt=caption)
    with st.expander(wording.stress_table_label(result)):
        html_table(
            tuple(task.worded(header) for header in wording.STRESS_TABLE_HEADERS),
            wording.stress_rows(result, stressed.threshold, most_probable),
            numeric=(1,),
        )
