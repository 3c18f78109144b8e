"""A case as FHIR: valid by the schema and by R4's own cardinalities, and nothing of the case lost or made up."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from fhir.resources.R4B.diagnosticreport import DiagnosticReport

from dashboard.reports.codes import CODES
from dashboard.reports.fhir import diagnostic_report
from data.cases.case import CERTAINTIES, PLANS, SEXES, SIDES, SITES, Biopsy, Case, Decision, Lesion, Patient, Read
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import OTHER
from tests.support.case_log import made_up_refusal
from tests.support.case_log import made_up_result as result_of_task
from tests.support.reports import PROBABILITIES, THRESHOLD, made_up_case, made_up_result

Json = dict[str, Any]

# Elements with cardinality 1..1 or 1..*, by resource or element. Source: https://hl7.org/fhir/R4, each resource's page.
REQUIRED: dict[str, set[str]] = {
    "DiagnosticReport": {"status", "code"},
    "Observation": {"status", "code"},
    "Media": {"status", "content"},
    "Device": set(),
    "Patient": set(),
    "Practitioner": set(),
    "Organization": set(),
    "media": {"link"},
    "component": {"code"},
    "deviceName": {"name", "type"},
    "version": {"value"},
    "note": {"text"},
    "text": {"status", "div"},
}
# Value sets that R4 requires. Source: the same pages.
STATUSES = {
    "DiagnosticReport": "registered partial preliminary final amended corrected appended cancelled entered-in-error",
    "Observation": "registered preliminary final amended corrected cancelled entered-in-error unknown",
    "Media": "preparation in-progress not-done on-hold stopped completed entered-in-error unknown",
}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def report_of(case: Case, pdf: bytes | None = None) -> Json:
    """The report, after the schema and R4's rules have been checked."""
    text = diagnostic_report(case, pdf)
    DiagnosticReport.model_validate_json(text)
    report = json.loads(text)
    for resource in (report, *report["contained"]):
        check_resource(resource)
    check_references(report)
    return report


def check_resource(resource: Json) -> None:
    kind = resource["resourceType"]
    assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", resource["id"])
    assert REQUIRED[kind] <= resource.keys()
    if kind in STATUSES:
        assert resource["status"] in STATUSES[kind].split()
    for name, element in elements(resource):
        if isinstance(element, dict):
            assert element, f"{name} is empty"
            assert REQUIRED.get(name, set()) <= element.keys()
            # A value has one type, and a quantity in a coded unit names the system (qty-3).
            assert sum(key.startswith("value") and key != "value" for key in element) <= 1
            assert "code" not in element or "unit" not in element or "system" in element
        elif isinstance(element, str):
            assert element == element.strip() and element
            assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", element)


def elements(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    yield name, value
    if isinstance(value, dict):
        for key, child in value.items():
            yield from elements(child, key)
    elif isinstance(value, list):
        assert value, f"{name} is an empty list"
        for child in value:
            yield from elements(child, name)


def check_references(report: Json) -> None:
    """Every reference is to a contained resource, and every contained resource is referred to (dom-3)."""
    contained = [resource["id"] for resource in report["contained"]]
    referred = {value["reference"] for _, value in elements(report) if isinstance(value, dict) and "reference" in value}
    assert len(set(contained)) == len(contained)
    assert referred == {f"#{name}" for name in contained}
    assert not any("contained" in resource for resource in report["contained"])


def contained(report: Json, name: str) -> Json:
    return next(resource for resource in report["contained"] if resource["id"] == name)


def codes(concept: Json) -> list[str]:
    return [coding["code"] for coding in concept["coding"]]


def components(observation: Json) -> dict[str, Any]:
    """Values of components by their text, whatever their type."""
    found = {}
    for component in observation["component"]:
        value = next(component[key] for key in component if key.startswith("value"))
        found[component["code"]["text"]] = value["value"] if isinstance(value, dict) else value
    return found


def test_whole_case() -> None:
    report = report_of(made_up_case())
    assert (report["resourceType"], report["status"]) == ("DiagnosticReport", "preliminary")
    assert report["identifier"][0]["value"] == "urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e"
    assert report["category"][0]["coding"][0]["code"] == "IMG"
    assert report["code"]["coding"][0]["code"] == "446078004"
    assert report["effectiveDateTime"] == report["issued"] == "2026-03-04T05:06:07.000Z"
    assert INSTANT.fullmatch(report["issued"])
    assert report["conclusionCode"][0]["coding"][0]["code"] == "mel"
    assert contained(report, "organisation")["name"] == "Made-up clinic"
    assert contained(report, "reader")["name"] == [{"text": "reader@clinic.example"}]


def test_another_diagnosis_is_said_in_words_and_has_no_code_of_a_class() -> None:
    case = made_up_case(
        own_read=Read(OTHER, "sure", "biopsy", other="Spitz naevus"),
        decision=Decision(OTHER, "excision", other="Merkel cell \x07carcinoma"),
    )
    report = report_of(case)
    assert report["conclusion"].startswith("Other: Merkel cell carcinoma; plan: excision.")
    assert report["conclusionCode"] == [{"text": "Other: Merkel cell carcinoma"}]
    assert contained(report, "decision")["valueCodeableConcept"] == {"text": "Other: Merkel cell carcinoma"}
    assert contained(report, "own-read")["valueCodeableConcept"] == {"text": "Other: Spitz naevus"}


def test_refused_image_has_no_observation_of_the_model() -> None:
    report = report_of(made_up_case(result=made_up_refusal()))
    names = {resource["id"] for resource in report["contained"]}
    assert names == {"patient", "organisation", "reader", "image", "own-read", "decision", "biopsy", "age"}
    assert "No answer from the AI: the image does not look like the dermoscopic images" in report["conclusion"]
    assert "classifier" not in report["code"]["text"]
    assert contained(report, "decision")["code"]["text"] == "Reader's diagnosis without an answer of the model"


def test_conclusion_in_words_is_no_all_clear() -> None:
    flagged = report_of(made_up_case())["conclusion"]
    assert flagged.startswith("Melanoma (mel); plan: excision. The diagnosis was changed")
    assert "Flagged as possibly malignant (malignant 34.6 %, threshold 25.0 %)" in flagged
    unflagged = report_of(made_up_case(result=made_up_result(p_positive=0.1)))["conclusion"]
    assert "Not flagged" in unflagged and "not an all-clear" in unflagged
    assert unflagged.endswith("decides.")


def test_probabilities_have_all_their_digits() -> None:
    report = report_of(made_up_case())
    for dx, probability in zip(SKIN.codes, PROBABILITIES, strict=True):
        observation = contained(report, f"p-{dx}")
        assert observation["valueQuantity"] == {
            "value": probability,
            "system": "http://unitsofmeasure.org",
            "code": "1",
        }
        assert components(observation) == {
            "In the 90 % set; outside of it a diagnosis is not excluded": dx in ("nv", "mel")
        }
        assert observation["device"] == {"reference": "#model"}
        assert "a made-up clinic" in observation["method"]["text"]


def test_malignant_group_with_its_threshold() -> None:
    observation = contained(report_of(made_up_case()), "p-malignant")
    assert observation["valueQuantity"]["value"] == 0.346
    assert list(components(observation).values()) == [THRESHOLD, 0.95, 0.79, True]


def test_skin_is_told_in_the_codes_and_words_it_always_had() -> None:
    report = report_of(made_up_case())
    assert report["code"]["text"] == "Dermoscopic image with a classifier's answer, research use only"
    assert contained(report, "model")["type"] == {"text": "Classifier of dermoscopic images, research use only"}
    malignant = contained(report, "p-malignant")
    assert malignant["code"] == {"text": "Probability of the malignant group (akiec, bcc, mel)"}
    assert "Sensitivity at the threshold, locked test lesions of HAM10000" in components(malignant)
    assert report["conclusionCode"] == [
        {
            "coding": [{"system": "https://doi.org/10.1038/sdata.2018.161", "code": "mel", "display": "Melanoma"}],
            "text": "Melanoma",
        }
    ]


def test_case_of_another_task_is_told_in_its_own_codes() -> None:
    result = result_of_task([0.1, 0.2, 0.3, 0.15, 0.25], RETINA)
    case = made_up_case(
        result=result,
        own_read=Read("dr1", "sure", "referral"),
        decision=Decision("dr4", "referral"),
        lesion=Lesion(made_up_case().lesion.lesion_id, side="left"),
        biopsy=Biopsy("dr0", date(2026, 3, 20)),
    )
    report = report_of(case)
    assert report["code"]["text"] == "Retinal photograph with a classifier's answer, research use only"
    assert report["code"]["coding"][0]["code"] == "20067007"
    assert codes(report["conclusionCode"][0]) == ["59276001", "LA18648-8"]
    assert report["conclusionCode"][0]["text"] == "Proliferative retinopathy"
    assert codes(contained(report, "image")["modality"]) == ["OP"]
    for name in ("image", "p-dr2", "decision"):
        site = contained(report, name)["bodySite"]
        assert (codes(site), site["text"]) == (["5665001"], "retina, left")
    assert codes(contained(report, "own-read")["valueCodeableConcept"]) == ["312903003", "LA18644-7"]
    assert contained(report, "biopsy")["code"] == {"text": "Reference grading"}
    assert codes(contained(report, "biopsy")["valueCodeableConcept"]) == ["LA18643-9"]
    assert [contained(report, f"p-{code}")["valueQuantity"]["value"] for code in RETINA.codes] == [
        0.1, 0.2, 0.3, 0.15, 0.25
    ]  # fmt: skip
    assert contained(report, "p-referable")["valueQuantity"]["value"] == pytest.approx(0.7)


def test_task_without_codes_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(CODES, "retina")
    result = result_of_task([0.1, 0.2, 0.3, 0.15, 0.25], RETINA)
    report = report_of(made_up_case(result=result, own_read=None, decision=Decision("dr4", "referral"), biopsy=None))
    assert report["code"] == {"text": "Retinal photograph with a classifier's answer, research use only"}
    assert report["conclusionCode"] == [{"text": "Proliferative retinopathy (dr4)"}]
    assert "modality" not in contained(report, "image")


def test_what_was_not_measured_is_left_out() -> None:
    """JSON has no NaN."""
    nan = float("nan")
    observation = contained(
        report_of(made_up_case(result=made_up_result(sensitivity=nan, specificity=nan))), "p-malignant"
    )
    assert list(components(observation).values()) == [THRESHOLD, True]


def test_model_and_image_by_their_hashes() -> None:
    report = report_of(made_up_case())
    model, image = contained(report, "model"), contained(report, "image")
    assert [version["value"] for version in model["version"]] == ["0.1", "a1" * 32, "1"]
    assert model["deviceName"] == [{"name": "made-up", "type": "model-name"}]
    assert image["identifier"][0]["value"] == "b2" * 32
    assert (image["width"], image["height"]) == (120, 90)
    assert image["modality"]["coding"][0]["code"] == "DMS"


def test_reads_and_histopathology() -> None:
    report = report_of(made_up_case())
    own, decision, biopsy = (contained(report, name) for name in ("own-read", "decision", "biopsy"))
    assert own["valueCodeableConcept"]["coding"][0]["code"] == "nv"
    assert components(own) == {"Certainty": "fairly sure", "Plan": "follow-up"}
    assert decision["valueCodeableConcept"]["coding"][0]["code"] == "mel"
    assert decision["note"] == [{"text": "Asymmetric network."}]
    assert biopsy["effectiveDateTime"] == "2026-03-20"
    assert biopsy["note"] == [{"text": "Breslow 0.4 mm."}]
    assert "performer" not in biopsy
    without = report_of(made_up_case(own_read=None, biopsy=None))
    assert not {"own-read", "biopsy"} & {resource["id"] for resource in without["contained"]}


def test_own_read_says_when_it_was_given() -> None:
    unaided, informed = (
        report_of(made_up_case(own_read=Read("nv", "sure", "biopsy", is_informed=is_informed)))
        for is_informed in (False, True)
    )
    assert contained(unaided, "own-read")["code"]["text"].endswith("before the model's answer was shown")
    assert contained(informed, "own-read")["code"]["text"].endswith("given after the answer had been shown")


def test_patient_is_the_clinics_reference_or_nobody() -> None:
    known = report_of(made_up_case())
    assert contained(known, "patient")["identifier"] == [
        {"value": "MRN-4711", "assigner": {"display": "Made-up clinic"}}
    ]
    assert contained(known, "patient")["gender"] == "female"
    age = contained(known, "age")
    assert (age["valueQuantity"]["value"], age["valueQuantity"]["code"]) == (52.0, "a")
    unknown = report_of(made_up_case(patient=Patient()))
    assert contained(unknown, "patient") == {"resourceType": "Patient", "id": "patient", "gender": "unknown"}
    assert "age" not in {resource["id"] for resource in unknown["contained"]}


@pytest.mark.parametrize(
    ("site", "side", "text", "code"),
    [
        ("back", "left", "back, left", "77568009"),
        ("genital", "unknown", "genital", "60944009"),
        ("acral", "right", "acral, right", None),
    ],
)
def test_body_site(site: str, side: str, text: str, code: str | None) -> None:
    case = made_up_case()
    report = report_of(replace(case, lesion=Lesion(case.lesion.lesion_id, site, side)))
    for name in ("image", "p-mel", "decision", "biopsy"):
        body_site = contained(report, name)["bodySite"]
        assert body_site["text"] == text
        assert (body_site["coding"][0]["code"] if code else body_site.get("coding")) == code


def test_unknown_site_is_left_out() -> None:
    case = made_up_case()
    report = report_of(replace(case, lesion=Lesion(case.lesion.lesion_id)))
    assert not any("bodySite" in resource for resource in report["contained"])


def test_every_word_of_a_case_is_valid() -> None:
    case = made_up_case()
    for index, site in enumerate(SITES):
        side, sex = SIDES[index % len(SIDES)], SEXES[index % len(SEXES)]
        dx, plan = SKIN.codes[index % len(SKIN.codes)], PLANS[index % len(PLANS)]
        report_of(
            replace(
                case,
                patient=Patient("", float(index), sex),
                lesion=Lesion(case.lesion.lesion_id, site, side),
                own_read=Read(dx, CERTAINTIES[index % len(CERTAINTIES)], plan),
                decision=Decision(dx, plan),
            )
        )


def test_report_encloses_the_pdf() -> None:
    pdf = b"%PDF-1.7 made up"
    [attachment] = report_of(made_up_case(), pdf)["presentedForm"]
    assert base64.b64decode(attachment["data"]) == pdf
    assert (attachment["contentType"], attachment["size"]) == ("application/pdf", len(pdf))
    assert base64.b64decode(attachment["hash"]) == hashlib.sha1(pdf).digest()
    assert "MRN-4711" not in attachment["title"]
    assert "presentedForm" not in report_of(made_up_case())


def test_user_text_is_plain_text() -> None:
    typed = '  <script>alert(1)</script>\x00\x1b \ud800 Жанна\n"quoted"  '
    case = made_up_case(decision=Decision("mel", "biopsy", typed), saved_by=typed, organisation="\x00")
    report = report_of(replace(case, patient=Patient(typed, None, "unknown")))
    shown = '<script>alert(1)</script>  Жанна\n"quoted"'
    assert contained(report, "decision")["note"] == [{"text": shown}]
    assert contained(report, "patient")["identifier"][0]["value"] == shown
    assert contained(report, "organisation")["name"] == "not stated"
    # What a browser might show as markup holds no user text at all.
    assert "<script" not in report["text"]["div"]
    diagnostic_report(case, None).encode()


def test_nothing_names_the_file() -> None:
    assert "Doe_Jane" not in diagnostic_report(made_up_case(), b"%PDF")
