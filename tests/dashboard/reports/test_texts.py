"""Whatever a user can type has a report: a PDF that can be read, valid FHIR, CSV and JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

import pypdfium2 as pdfium
import pytest
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dashboard.reports.exports import csv_of, json_of
from dashboard.reports.fhir import diagnostic_report
from dashboard.reports.pdf import case_pdf
from data.cases.case import MAX_OTHER, MAX_REFERENCE, MAX_TEXT, Actor, Biopsy, Case, Decision, Lesion, Patient, Read
from data.tasks.skin import SKIN
from data.tasks.task import OTHER
from tests.support.reports import made_up_analysis, made_up_case

PRINTER = Actor("printer@clinic.example", "Made-up clinic", "clinician")
PRINTED_AT = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)
EXAMPLES = 10  # each costs about a second
ANY = st.characters(exclude_categories=())  # half surrogates, private and unassigned characters as well
# What is pasted again and again: signs without letters, spaces, joiners, marks, letters that run left, wide ones.
UNITS = [*"-%(. \t\n\u00a0\u200d\u0301W", "- ", "+1", "()", "\u0301\u200d", "\u0645", "\u05d0-", "(\u05d0", "\u65e5"]
STRETCHES = st.builds(
    lambda unit, length: (unit * length)[:length],
    st.sampled_from(UNITS) | st.text(ANY, min_size=1, max_size=5),
    st.sampled_from([1, 70, 984, 1500, MAX_TEXT]),
)
TEXTS = st.lists(STRETCHES | st.text(ANY, max_size=30), max_size=5).map(lambda parts: "".join(parts)[:MAX_TEXT])
DASHES = ("-" * 41 + "\n") * 24


def with_texts(text: str) -> Case:
    """A case in which a user typed the text wherever they can, as much of it as the field takes."""
    other = text[:MAX_OTHER] or "x"
    case = made_up_case(saved_by=text[:MAX_REFERENCE], organisation=text[-MAX_REFERENCE:])
    return replace(
        case,
        patient=Patient(text[:MAX_REFERENCE], 52.0, "female"),
        lesion=Lesion(case.lesion.lesion_id, "back", "left", text),
        own_read=Read(OTHER, "sure", "biopsy", other=other),
        decision=Decision(OTHER, "excision", text[-MAX_REFERENCE:], other),
        biopsy=Biopsy(OTHER, PRINTED_AT.date(), text[:MAX_REFERENCE], other),
    )


@settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=[*HealthCheck])
@given(text=TEXTS)
@example(text=DASHES.replace("\n", ""))
@example(text=DASHES)
@example(text=" " * 1500)
@example(text="\u0645" + "-" * (MAX_TEXT - 1))
@example(text="\u200d" * MAX_TEXT)
def test_every_text_has_a_report(text: str) -> None:
    case = with_texts(text)
    pdf = case_pdf(case, made_up_analysis(case), PRINTER, PRINTED_AT)
    document = pdfium.PdfDocument(pdf)
    assert f"page {len(document)} of {len(document)}" in document[len(document) - 1].get_textpage().get_text_bounded()
    report = diagnostic_report(case, pdf)
    DiagnosticReport.model_validate_json(report)
    ElementTree.fromstring(json.loads(report)["text"]["div"])
    csv_of([case], SKIN).decode()
    json.loads(json_of([case], SKIN, PRINTER, PRINTED_AT))


@pytest.mark.parametrize("sign", ["-", " ", ".", "\u0645-"])
def test_letterless_texts_are_printed_whole(sign: str) -> None:
    text = "a" + (sign * 1500)[:1500] + "END"
    case = made_up_case(lesion=Lesion(made_up_case().lesion.lesion_id, note=text), decision=Decision("mel", "biopsy"))
    pdf = case_pdf(case, made_up_analysis(case), PRINTER, PRINTED_AT)
    printed = "".join(page.get_textpage().get_text_bounded() for page in pdfium.PdfDocument(pdf))
    assert "END" in printed
    if sign.strip():
        assert printed.count(sign[0]) >= 1500 // len(sign)
