"""Functions that draw one open case as it was saved: image, answer, both reads, and what can be done with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from dashboard.answer import saved
from dashboard.answer import wording as answer_wording
from dashboard.answer.bars import class_bars_html, group_bars_html
from dashboard.answer.diagnosis import diagnosis
from dashboard.answer.viewer import heatmap_viewer, image_viewer
from dashboard.cases import forms as case_forms
from dashboard.cases import wording
from dashboard.cases.opened import Picture, close, opened, parsed_id, picture
from dashboard.cases.order import neighbour_buttons
from dashboard.cases.timeline import timeline
from dashboard.cases.worklist import download
from dashboard.reports import exports as case_exports
from dashboard.reports import wording as report_wording
from dashboard.resources import answers, models, stores
from dashboard.shell.formats import escape, one_decimal, percent
from dashboard.shell.identity import actor
from dashboard.shell.times import shown_time
from dashboard.shell.widgets import explained_errors, html_table
from data.cases.case import Case, ModelResult, probabilities_of
from data.tasks.task import Task
from model.analysis.case_record import is_of_model, recorded_prediction
from model.images.rejection import MAX_STORED_BYTES
from model.inference.artifact import Artifact
from model.inference.classifier import Prediction
from model.inference.clinical import PatientFacts
from model.inference.measured import MeasuredRate, OperatingPoint


def case_view(asked: str) -> None:
    """The case of an address; raises `CaseNotFound`, `CaseLogUnavailable`, `NotAllowed`.

    An image that is missing, altered or out of reach is said in its place; the facts are shown all the same.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(wording.CASE_TITLE, width="content")
        st.button("All cases", icon=":material/arrow_back:", on_click=close)
        case_id = parsed_id(asked)
        neighbour_buttons(case_id)
    case = opened(case_id)
    st.markdown(wording.case_heading(case, names_task=len(models.tasks()) > 1))
    image, answer = st.columns([7, 4], gap="medium")
    with image:
        shown = _picture(case)
        _reads(case)
    with answer, explained_errors():
        _answer(case)
    _actions(case, shown)
    case_forms.case_forms(case)
    with explained_errors():
        _present_model(case, shown)
    with explained_errors():
        timeline(case)
    _record(case)


def _picture(case: Case) -> Picture | None:
    with explained_errors():
        shown = picture(case)
        if case.refusal is not None:
            image_viewer(shown.analysis, case.task, key="cases_image")
            return shown
        explanation = shown.analysis.answered.explanation
        leading = answer_wording.leading_class(recorded_prediction(case.answered), case.answered.is_flagged)
        heatmap_viewer(shown.analysis, leading, {}, key="cases_viewer")
        edge = saved.saved_edge(case.answered)
        for remark in answer_wording.warnings(shown.analysis.quality, explanation.framing, case.task, edge):
            st.warning(remark, icon=":material/warning:")
        return shown
    return None


# --- What the model said ---------------------------------------------------------------------------------------------


def _answer(case: Case) -> None:
    if case.refusal is not None:
        st.warning(saved.refused(case.refusal), icon=":material/block:")
        st.caption(wording.refusing_model(case.refusal))
        return
    result = case.answered
    prediction = recorded_prediction(result)
    st.html(group_bars_html(prediction, saved_point(result)))
    _verdict(result, saved.facts_of(case))
    st.caption(saved.saved_meaning(result))
    st.markdown(f"**{answer_wording.prediction_set(result.task, result.conformal_set, result.conformal_level)}**")
    remark = answer_wording.set_without_flag(result.task, result.conformal_set, result.is_flagged)
    if remark is not None:
        st.warning(remark, icon=":material/flag:")
    agreement = answer_wording.agreement(result.task, result.member_p_positive, result.threshold)
    if agreement is not None:
        sentence, is_one_side = agreement
        st.caption(sentence) if is_one_side else st.warning(sentence, icon=":material/call_split:")
    st.html(class_bars_html(prediction, models.artifact_of(case.task)))
    st.markdown(answer_wording.both_names(result.task, result.probabilities, result.prediction, result.population))
    st.caption(wording.saved_model(result))


def _verdict(result: ModelResult, facts: PatientFacts) -> None:
    # Amber means "a person decides"; nothing on this page is green.
    if result.is_flagged:
        st.warning(saved.saved_verdict(result, facts), icon=":material/flag:")
    else:
        st.info(saved.saved_verdict(result, facts), icon=":material/person_search:")


def saved_point(result: ModelResult) -> OperatingPoint:
    """The operating point a case was saved at; what the log does not keep of it (intervals, PPV, NPV) is NaN."""
    unknown = MeasuredRate(math.nan, math.nan, math.nan, 0)
    sensitivity, specificity = (
        MeasuredRate(value, math.nan, math.nan, 0) for value in (result.sensitivity, result.specificity)
    )
    return OperatingPoint(
        result.operating_point, result.threshold, math.nan, sensitivity, specificity, unknown, unknown
    )


def _reads(case: Case) -> None:
    """Who thought what, in the order in which it happened."""
    own, biopsy, task = case.own_read, case.biopsy, case.task
    rows = [
        (
            wording.own_read_label(own) if case.refusal is None else wording.FIRST_READ_LABEL,
            diagnosis(task, own),
            own.certainty,
            own.plan,
            saved.INFORMED if own.is_informed else "",
        )
        if own
        else (wording.OWN_READ_LABEL, saved.NO_OWN_READ, "", "", ""),
        (wording.model_label(task), _named_by_model(case), "", "", ""),
        (
            wording.DECISION_LABEL if case.refusal is None else wording.NEWEST_DECISION_LABEL,
            diagnosis(task, case.decision),
            "",
            case.decision.plan,
            case.decision.reason,
        ),
        (task.words.reference.capitalize(), diagnosis(task, biopsy), "", biopsy.reported_on.isoformat(), biopsy.note)
        if biopsy
        else (task.words.reference.capitalize(), saved.NO_BIOPSY, "", "", ""),
    ]
    html_table(("Step", case.task.words.label.capitalize(), "How sure", "Plan or day", "Remark"), rows, numeric=())
    st.caption(wording.changed_mind(case))
    if case.lesion.note:
        st.markdown(f"**Note:** {escape(case.lesion.note)}")


def _named_by_model(case: Case) -> str:
    return saved.NO_ANSWER if case.refusal else case.task.titled(case.answered.prediction)


# --- The present model -----------------------------------------------------------------------------------------------


def _present_model(case: Case, shown: Picture | None) -> None:
    artifact = models.artifact_of(case.task)
    if artifact is None or is_of_model(case.result, artifact):
        return
    st.warning(wording.model_has_changed(case.result, f"{artifact.name} {artifact.version}"), icon=":material/update:")
    if shown is None or not st.toggle(wording.NEW_ANSWER_BUTTON, key=f"cases_new_{case.case_id}"):
        return
    analysis = answers.analysis(shown.content, MAX_STORED_BYTES, artifact=artifact)
    # What the case says of the patient is taken into account.
    new = models.analyzer(artifact).with_facts(analysis, saved.facts_of(case))
    if new.answer is None:
        st.warning(wording.NO_NEW_ANSWER, icon=":material/block:")
        return
    saved_name = "" if case.refusal else case.answered.operating_point
    point, prediction = _same_point(saved_name, artifact), new.answer.prediction
    image, table = st.columns([7, 4], gap="medium")
    with image:
        leading = answer_wording.leading_class(prediction, prediction.p_positive >= point.threshold)
        heatmap_viewer(new, leading, {}, key="cases_viewer_new")
    with table:
        if case.refusal is None:
            _old_and_new(case.answered, prediction, artifact, point)
        else:
            _new_alone(prediction, artifact, point)


def _same_point(name: str, artifact: Artifact) -> OperatingPoint:
    """The present model's operating point of this name, the first where it has none."""
    points = {point.name: point for point in artifact.operating_points}
    return points.get(name, artifact.operating_points[0])


def _new_alone(new: Prediction, artifact: Artifact, point: OperatingPoint) -> None:
    """What the present model says of an image that an earlier one refused; the case keeps nothing of it."""
    task = new.task
    rows = [
        (task.question.positive.capitalize(), percent(new.p_positive)),
        ("Threshold", one_decimal(point.threshold)),
        ("Flag", _flag(new.p_positive >= point.threshold)),
        *((one.name, percent(float(new.probabilities[index]))) for index, one in enumerate(task.classes)),
    ]
    html_table(("", f"Now ({artifact.name} {artifact.version})"), rows, numeric=(1,))


def _flag(is_flagged: bool) -> str:
    return "flagged" if is_flagged else "not flagged"


def _old_and_new(result: ModelResult, new: Prediction, artifact: Artifact, point: OperatingPoint) -> None:
    before, present = probabilities_of(result), new.probabilities
    rows = [
        _difference(result.task.question.positive.capitalize(), result.p_positive, new.p_positive),
        ("Threshold", one_decimal(result.threshold), one_decimal(point.threshold), ""),
        ("Flag", _flag(result.is_flagged), _flag(new.p_positive >= point.threshold), ""),
        (
            answer_wording.set_name(result.conformal_level),
            _names(result.task, result.conformal_set),
            _names(result.task, new.conformal_set),
            "",
        ),
        *(_difference(one.name, float(before[i]), float(present[i])) for i, one in enumerate(result.task.classes)),
    ]
    headers = ("", f"Saved ({saved.plain_model_name(result)})", f"Now ({artifact.name} {artifact.version})", "Points")
    html_table(headers, rows, numeric=(1, 2, 3))
    st.caption(wording.populations(result.population, new.population))


def _names(task: Task, codes: Sequence[str]) -> str:
    return ", ".join(task.named(dx).name for dx in codes)


def _difference(name: str, saved: float, present: float) -> tuple[str, str, str, str]:
    return name, percent(saved), percent(present), wording.points(saved, present)


# --- What can be done with a case ------------------------------------------------------------------------------------


def _actions(case: Case, shown: Picture | None) -> None:
    with st.container(horizontal=True):
        if shown is not None:
            _report("PDF report", case_exports.export_pdf, case, shown, "pdf", "application/pdf")
            _report("FHIR report", case_exports.export_fhir, case, shown, "fhir.json", "application/fhir+json")
        if st.button("Delete", icon=":material/delete:", key="cases_delete"):
            case_forms.confirm_delete(case)


def _report(label: str, make: Callable[..., bytes], case: Case, shown: Picture, ending: str, mime: str) -> None:
    log, by = stores.case_log(), actor()
    name = f"lesionlens_case_{case.case_id}.{ending}"
    download(label, partial(make, log, case, shown.analysis, by), name, mime)


def _record(case: Case) -> None:
    """What identifies the case, its image and its model."""
    result = case.result
    facts = {
        "Case": str(case.case_id),
        "Task": case.task.name,
        case.task.words.subject.capitalize(): str(case.lesion.lesion_id),
        "Saved": f"{shown_time(case.saved_at)} by {case.saved_by}, {case.organisation}",
        "File name as given": case.captured_name,
        "Image": f"{case.image_width} x {case.image_height} px, SHA-256 {case.image_sha256}",
        "Model": saved.plain_model_name(result),
        "Weights": f"SHA-256 {result.artifact_sha256}",
        "Preprocessing": result.preprocessing_version,
        **({} if case.refusal else _of_answer(case.answered)),
        "Image quality": report_wording.quality(result).capitalize(),
        "Refused in" if case.refusal else "Answered in": f"{result.runtime_ms:.0f} ms",
    }
    with st.expander("Record"):
        st.caption(wording.NOT_A_VERDICT)
        html_table(("Fact", "Value"), list(facts.items()), numeric=())


def _of_answer(result: ModelResult) -> dict[str, str]:
    return {"Heatmap": result.heatmap_method, "Threshold": report_wording.operating_point(result).capitalize()}
