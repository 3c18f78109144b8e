"""Functions that draw what the Review page makes of an image."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.answer import heatmap_findings
from dashboard.answer import wording as answer_wording
from dashboard.answer.bars import class_bars_html, group_bars_html
from dashboard.answer.viewer import heatmap_viewer
from dashboard.resources import models
from dashboard.review import camera, focus, inputs, state, wording
from dashboard.review import evidence as evidence_widgets
from dashboard.review import facts as facts_widgets
from dashboard.review.state import Upload
from dashboard.shell.formats import escape as escape_markdown
from model.analysis.analyzer import Analysis
from model.explain.keras_worker import METHODS, WorkerFailed, is_installed
from model.explain.maps import Explanation, explanation_of
from model.images.rejection import OTHER_TASK, ImageRejected
from model.inference.artifact import Artifact
from model.inference.classifier import Prediction
from model.inference.measured import OperatingPoint

ANSWER_FRAGMENT = "review_answer"
ON_DEMAND_PANEL = "review_on_demand_panel"


# --- Result ----------------------------------------------------------------------------------------------------------


def analyse(upload: Upload) -> Analysis | None:
    """Analyse an image, which may be refused; draws the reason and returns None where the file cannot be read."""
    try:
        analysis = state.analysis(upload)
    except ImageRejected as rejected:
        state.keep_progress(upload.case_id, is_refused=True)
        with st.container(key=focus.REFUSED):
            st.warning(wording.rejection(upload.name, rejected), icon=":material/block:")
        if rejected.reason == OTHER_TASK:
            inputs.other_task_hint(upload)
        return None
    if analysis.answer is None:
        state.keep_progress(upload.case_id, is_refused=True)
    return analysis


def result(upload: Upload, analysis: Analysis) -> None:
    """Image and heatmap at the left, large; what the model says at the right; what speaks for it below.

    On a phone these come one below the other: the verdict, the image, the rest of the answer, the panels. On a wide
    screen the style sheet puts the first and the third at the right, the others at the left.
    """
    leading = _leading(analysis)
    with st.container(key="review_result"):
        verdict, picture, answer, panels = st.columns([3, 7, 3, 7], gap="medium")
        with picture:
            _picture(upload, analysis, leading)
        with answer:
            facts_widgets.facts_popover(upload, is_saved=state.progress(upload.case_id).saved is not None)
            _answer(analysis, verdict)
    with panels:
        evidence_widgets.evidence(analysis, leading)


def further_evidence(analysis: Analysis) -> None:
    """What takes longer, and so comes last."""
    evidence_widgets.similar_cases(analysis)
    evidence_widgets.stress_panel(analysis)


def image_caption(upload: Upload, analysis: Analysis, *links: str) -> None:
    """The name of an image, what the checks found usable, and where to go on (Markdown links)."""
    name = f"**Synthetic sample** {escape_markdown(upload.name)}" if upload.is_sample else escape_markdown(upload.name)
    limit = models.analyzer().artifact.quality.max_ood_score
    st.markdown(" · ".join([name, wording.usable(analysis.quality, limit), *links, wording.OPEN_ANOTHER]))


def image_warnings(analysis: Analysis) -> None:
    """Amber remarks on an image that was not good enough, not seen as a whole, or may show text."""
    answer = analysis.answered
    task, edge = answer.prediction.task, next(iter(models.analyzer().artifact.edges), None)
    framing = answer.explanation.framing
    for remark in answer_wording.warnings(analysis.quality, framing, task, edge, analysis.remarks):
        st.warning(remark, icon=":material/warning:")
    small = camera.small_picture(*analysis.image.shape[:2])
    if small is not None:
        st.warning(small, icon=":material/photo_size_select_small:")
    if analysis.dicom is not None and not analysis.dicom.is_text_excluded:
        st.warning(wording.BURNT_IN_TEXT, icon=":material/badge:")


def _leading(analysis: Analysis) -> str:
    """The dx code whose heatmap is shown first."""
    prediction = analysis.answered.prediction
    threshold = models.analyzer().artifact.operating_points[0].threshold
    return answer_wording.leading_class(prediction, prediction.p_positive >= threshold)


def _picture(upload: Upload, analysis: Analysis, leading: str) -> None:
    image_caption(upload, analysis, wording.TO_DECISION)
    with st.container(key=focus.IMAGE):
        heatmap_viewer(analysis, leading, _by_method(analysis), key="review_viewer")
    image_warnings(analysis)
    rows, columns = analysis.answered.explanation.heatmaps.shape[1:]
    with st.expander("What a heatmap does not prove"):
        artifact = models.analyzer().artifact
        st.markdown(answer_wording.heatmap_limits(artifact.task, rows, columns))
        if tests := heatmap_findings.found_in_full(artifact.task, artifact.manifest.get("heatmaps")):
            st.markdown(tests)
    with st.expander(wording.ON_DEMAND_LABEL, key=ON_DEMAND_PANEL, on_change="rerun") as panel:
        if panel.open:
            _on_demand_form(analysis)


def _by_method(analysis: Analysis) -> Mapping[str, Explanation]:
    """Explanations computed on demand, the classes of one method together."""
    maps: dict[str, dict[str, Explanation]] = {}
    for (method, dx), explanation in state.on_demand(analysis.image_sha256).items():
        maps.setdefault(method, {})[dx] = explanation
    framing = analysis.answered.explanation.framing
    return {
        method: explanation_of(method, {dx: one.heatmap(dx) for dx, one in by_dx.items()}, framing)
        for method, by_dx in maps.items()
    }


def _on_demand_form(analysis: Analysis) -> None:
    prediction, explanation = analysis.answered.prediction, analysis.answered.explanation
    task, methods = prediction.task, [method for method in METHODS if method != explanation.method]
    if not is_installed():
        st.markdown(wording.not_installed(methods))
        return
    st.markdown(wording.ON_DEMAND)
    with st.form("review_on_demand_form", border=False):
        method_column, class_column = st.columns(2)
        method = method_column.selectbox("Method", methods)
        dx = class_column.selectbox(
            "Class",
            task.codes,
            index=task.index(prediction.dx),
            format_func=task.titled,
        )
        is_wanted = st.form_submit_button("Compute")
    if not is_wanted:
        return
    worker = models.keras_worker()
    with st.spinner(wording.computing(method, is_first=worker.pid is None), show_time=True):
        try:
            heatmap = worker.heatmap(method, analysis.network_input, task.index(dx))
        except WorkerFailed as failed:
            st.error(wording.worker_failed(failed), icon=":material/error:")
            return
    state.keep_on_demand(analysis.image_sha256, dx, explanation_of(method, {dx: heatmap}, explanation.framing))
    st.rerun()


@st.fragment(key=ANSWER_FRAGMENT)
def _answer(analysis: Analysis, verdict: DeltaGenerator) -> None:
    """A fragment: moving the threshold redraws the answer and nothing else; `verdict` is where it begins."""
    prediction = analysis.answered.prediction
    artifact = models.analyzer().artifact
    with verdict:
        point = _operating_point(artifact)
        is_flagged = prediction.p_positive >= point.threshold
        _verdict(prediction, point, artifact, is_flagged)
    evidence_widgets.prediction_set(prediction, artifact, point.threshold)
    st.html(class_bars_html(prediction, artifact))
    st.markdown(wording.headline(prediction, artifact, is_flagged))
    st.caption(answer_wording.population(artifact))
    evidence_widgets.other_prevalence(prediction, artifact, point)
    st.caption(
        f"Model {artifact.name} {artifact.version} · weights {artifact.weights_sha256[:12]} · "
        f"{analysis.runtime_ms:.0f} ms · answered by {escape_markdown(models.answering_runtime())}"
    )


def _verdict(prediction: Prediction, point: OperatingPoint, artifact: Artifact, is_flagged: bool) -> None:
    st.html(group_bars_html(prediction, point))
    other = artifact.elsewhere(point.name, point.threshold)
    group = artifact.group_sensitivity(point.name, point.threshold, prediction.facts)
    text = wording.verdict(prediction, point, other, group)
    with st.container(key=focus.ANSWER):
        # Amber means "a person decides"; nothing on this page is green.
        st.warning(text, icon=":material/flag:") if is_flagged else st.info(text, icon=":material/person_search:")
    # What stands beside `not flagged` is about what is missed.
    told = (artifact.confirmed_specificity(point.name, point.threshold), other) if is_flagged else ()
    st.caption(wording.measured_meaning(prediction.task, point, *told))
    if repeat := answer_wording.repeats(prediction.task, artifact.repeats_at(prediction.p_positive)):
        st.caption(repeat)


def _redraw_decisions() -> None:
    """The answer and the stress test speak of the chosen threshold; nothing else does."""
    st.rerun([ANSWER_FRAGMENT, evidence_widgets.STRESS_FRAGMENT])


def _operating_point(artifact: Artifact) -> OperatingPoint:
    points = {point.name: point for point in artifact.operating_points}
    name = st.segmented_control(
        "Threshold",
        list(points),
        format_func=lambda name: answer_wording.operating_point_name(points[name]),
        default=artifact.operating_points[0].name,
        required=True,
        key=state.OPERATING_POINT,
        on_change=_redraw_decisions,
        persist_state="session",
        help=artifact.task.worded(wording.OPERATING_POINT_HELP),
    )
    return points[name]
