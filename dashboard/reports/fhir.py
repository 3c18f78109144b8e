"""One case as a FHIR R4 DiagnosticReport: one JSON document with everything it refers to contained in it.

The patient is the clinic's reference where there is one, and nobody in particular where there is none: a made-up or
hashed identifier would promise a link that no other system can follow.

Source:
    HL7 FHIR R4 (4.0.1), https://hl7.org/fhir/R4/diagnosticreport.html and the resources it names.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import unicodedata
from datetime import UTC
from typing import Any

from dashboard.answer.diagnosis import diagnosis
from dashboard.answer.patient import place
from dashboard.answer.saved import INFORMED, facts_of, refused
from dashboard.answer.wording import set_name
from dashboard.reports import wording
from dashboard.reports.codes import (
    AGE,
    BODY_SITES,
    CODES,
    IMAGE_MEDIA,
    IMAGING_OBSERVATION,
    IMAGING_SECTION,
    Code,
)
from data.cases.case import Biopsy, Case, Decision, Read
from data.tasks.task import OTHER, Task

Json = dict[str, Any]

UCUM = "http://unitsofmeasure.org"
_WITHOUT_ANSWER = "without an answer of the model"
PATIENT, ORGANISATION, READER, MODEL, IMAGE = "patient", "organisation", "reader", "model", "image"


def diagnostic_report(case: Case, pdf: bytes | None) -> str:
    """A saved case as FHIR JSON.

    Args:
        case: from the log.
        pdf: its printed report, to be enclosed; None for none.

    Returns:
        A DiagnosticReport, always `preliminary`: a model for research took part in it. Probabilities have all their
        digits. Text that a user typed loses control characters, which FHIR does not allow.
    """
    observations = _observations(case)
    conclusion = _conclusion(case)
    device = [] if case.refusal else [_model(case)]  # what is contained must be referred to
    report = {
        "resourceType": "DiagnosticReport",
        "id": str(case.case_id),
        "language": "en",
        "text": _narrative(conclusion),
        "contained": [_patient(case), _organisation(case), _reader(case), *device, _image(case), *observations],
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": case.case_id.urn}],
        "status": "preliminary",
        "category": [_concept(IMAGING_SECTION)],
        "code": _examination(case),
        "subject": _reference(PATIENT),
        "effectiveDateTime": _instant(case),
        "issued": _instant(case),
        "performer": [_reference(ORGANISATION)],
        "resultsInterpreter": [_reference(READER)],
        "result": [_reference(observation["id"]) for observation in observations],
        "media": [{"link": _reference(IMAGE)}],
        "conclusion": conclusion,
        "conclusionCode": [_diagnosis(case.task, case.decision)],
    }
    if pdf is not None:
        report["presentedForm"] = [_attachment(case, pdf)]
    return json.dumps(report, ensure_ascii=False, allow_nan=False, indent=1)


def _conclusion(case: Case) -> str:
    return (
        f"{_plain(diagnosis(case.task, case.decision))}; plan: {case.decision.plan}. "
        f"{_of_the_model(case)} {wording.RESEARCH_ONLY}"
    )


def _of_the_model(case: Case) -> str:
    if case.refusal is not None:
        return refused(case.refusal)
    result = case.answered
    return f"{wording.changed(case)} {wording.verdict(result, facts_of(case))} {wording.measured_meaning(result)}"


# --- Who, with what --------------------------------------------------------------------------------------------------


def _patient(case: Case) -> Json:
    patient: Json = {"resourceType": "Patient", "id": PATIENT, "gender": case.patient.sex}
    reference = _plain(case.patient.reference)
    if reference:
        patient["identifier"] = [{"value": reference, "assigner": {"display": _named(case.organisation)}}]
    return patient


def _organisation(case: Case) -> Json:
    return {"resourceType": "Organization", "id": ORGANISATION, "name": _named(case.organisation)}


def _reader(case: Case) -> Json:
    return {"resourceType": "Practitioner", "id": READER, "name": [{"text": _named(case.saved_by)}]}


def _model(case: Case) -> Json:
    result = case.result
    return {
        "resourceType": "Device",
        "id": MODEL,
        "type": {"text": f"Classifier of {case.task.words.images}, research use only"},
        "deviceName": [{"name": result.model_name, "type": "model-name"}],
        "version": [
            {"type": {"text": "model"}, "value": result.model_version},
            {"type": {"text": "SHA-256 of the weights, hexadecimal"}, "value": result.artifact_sha256},
            {"type": {"text": "preprocessing"}, "value": result.preprocessing_version},
        ],
    }


def _image(case: Case) -> Json:
    """The image by its hash; its pixels stay in the image store."""
    codes = CODES.get(case.task.key)
    return _on_site(
        case,
        {
            "resourceType": "Media",
            "id": IMAGE,
            "identifier": [{"type": {"text": "SHA-256 of the image, hexadecimal"}, "value": case.image_sha256}],
            "status": "completed",
            "type": _concept(IMAGE_MEDIA),
            **({} if codes is None else {"modality": _concept(codes.modality)}),
            "subject": _reference(PATIENT),
            "width": case.image_width,
            "height": case.image_height,
            "content": {"contentType": "image/png"},
        },
    )


# --- What was seen ---------------------------------------------------------------------------------------------------


def _observations(case: Case) -> list[Json]:
    found = [] if case.refusal else _answer(case)
    if case.own_read is not None:
        found.append(_own_read(case, case.own_read))
    found.append(_decision(case, case.decision))
    if case.biopsy is not None:
        found.append(_biopsy(case, case.biopsy))
    if case.patient.age is not None:
        found.append(_observation(case, "age", AGE.display, coding=AGE) | {"valueQuantity": _years(case.patient.age)})
    return found


def _answer(case: Case) -> list[Json]:
    return [_positive(case), *(_probability(case, index) for index in range(len(case.task.classes)))]


def _positive(case: Case) -> Json:
    result, question = case.answered, case.task.question
    measured_on = f"locked test {case.task.words.subjects} of {case.task.dataset.name}"
    measured = {
        "Threshold": result.threshold,
        f"Sensitivity at the threshold, {measured_on}": result.sensitivity,
        f"Specificity at the threshold, {measured_on}": result.specificity,
    }
    components: list[Json] = [
        {"code": {"text": name}, "valueQuantity": _share(value)}
        for name, value in measured.items()
        if not math.isnan(value)
    ]
    return _of_model(
        case,
        f"p-{question.key}",
        f"Probability of the {question.positive} group ({', '.join(question.positives)})",
        {
            "valueQuantity": _share(result.p_positive),
            "interpretation": [{"text": wording.verdict(result, facts_of(case))}],
            "component": [*components, {"code": {"text": "Flagged"}, "valueBoolean": result.is_flagged}],
        },
    )


def _probability(case: Case, index: int) -> Json:
    result, one = case.answered, case.task.classes[index]
    in_set = f"In the {set_name(result.conformal_level)}; outside of it a {case.task.words.label} is not excluded"
    return _of_model(
        case,
        f"p-{one.code}",
        f"Probability of {case.task.titled(one.code)}",
        {
            "valueQuantity": _share(result.probabilities[index]),
            "component": [{"code": {"text": in_set}, "valueBoolean": one.code in result.conformal_set}],
        },
    )


def _of_model(case: Case, name: str, text: str, values: Json) -> Json:
    """What the model said of the image; whose class shares its probabilities hold for is part of the method."""
    of_model = {
        "category": [_concept(IMAGING_OBSERVATION)],
        "method": {"text": f"Image classifier, calibrated for {case.answered.population}"},
        "device": _reference(MODEL),
        "derivedFrom": [_reference(IMAGE)],
    }
    return _on_site(case, _observation(case, name, text) | values | of_model)


def _own_read(case: Case, read: Read) -> Json:
    said = {"Certainty": read.certainty, "Plan": read.plan}
    when = INFORMED if read.is_informed else "before the model's answer was shown"
    when = _WITHOUT_ANSWER if case.refusal else when
    return _read(case, "own-read", f"Reader's {case.task.words.label} {when}", read, said)


def _decision(case: Case, decision: Decision) -> Json:
    when = _WITHOUT_ANSWER if case.refusal else "after the model's answer was seen"
    text = f"Reader's {case.task.words.label} {when}"
    return _read(case, "decision", text, decision, {"Plan": decision.plan}, decision.reason)


def _biopsy(case: Case, biopsy: Biopsy) -> Json:
    read = _read(case, "biopsy", case.task.words.examination.capitalize(), biopsy, {}, biopsy.note)
    # Who examined it is not known, only who entered it.
    del read["performer"]
    return read | {"effectiveDateTime": biopsy.reported_on.isoformat()}


def _read(
    case: Case, name: str, text: str, named: Read | Decision | Biopsy, said: dict[str, str], note: str = ""
) -> Json:
    read = _observation(case, name, text) | {
        "performer": [_reference(READER)],
        "valueCodeableConcept": _diagnosis(case.task, named),
    }
    if said:
        read["component"] = [{"code": {"text": key}, "valueString": value} for key, value in said.items()]
    if _plain(note):
        read["note"] = [{"text": _plain(note)}]
    return _on_site(case, read)


def _observation(case: Case, name: str, text: str, coding: Code | None = None) -> Json:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "preliminary",
        "code": {"text": text} if coding is None else _concept(coding),
        "subject": _reference(PATIENT),
        "effectiveDateTime": _instant(case),
    }


def _on_site(case: Case, resource: Json) -> Json:
    """The resource with the site of what the image shows, where that is known; its side is in words."""
    codes, site, side = CODES.get(case.task.key), case.lesion.site, case.lesion.side
    if codes is not None and codes.site is not None:
        return resource | {"bodySite": _concept(codes.site, text=place(codes.site.display.lower(), side))}
    if site == "unknown":
        return resource
    words = place(site, side)
    return resource | {"bodySite": _concept(BODY_SITES[site], text=words) if site in BODY_SITES else {"text": words}}


# --- Data types ------------------------------------------------------------------------------------------------------


def _examination(case: Case) -> Json:
    """What was done."""
    codes, image = CODES.get(case.task.key), case.task.words.image.capitalize()
    text = image if case.refusal else f"{image} with a classifier's answer, research use only"
    return {"text": text} if codes is None else _concept(codes.examination, text=text)


def _diagnosis(task: Task, named: Read | Decision | Biopsy) -> Json:
    """What a person named; in words where no system codes it."""
    codes = CODES.get(task.key)
    if codes is None or named.dx == OTHER:
        return {"text": _plain(diagnosis(task, named))}
    return _concept(*codes.classes[named.dx], text=task.named(named.dx).name)


def _concept(*codes: Code, text: str | None = None) -> Json:
    """What several systems call the same; in the words of the first one where there are no others."""
    codings = [{"system": code.system, "code": code.code, "display": code.display} for code in codes]
    return {"coding": codings, "text": text or codes[0].display}


def _reference(name: str) -> Json:
    return {"reference": f"#{name}"}


def _share(value: float) -> Json:
    return {"value": value, "system": UCUM, "code": "1"}


def _years(value: float) -> Json:
    return {"value": value, "unit": "years", "system": UCUM, "code": "a"}


def _instant(case: Case) -> str:
    """When the case was saved; when the image was taken is not known."""
    return case.saved_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _attachment(case: Case, pdf: bytes) -> Json:
    return {
        "contentType": "application/pdf",
        "language": "en",
        "data": base64.b64encode(pdf).decode(),
        "size": len(pdf),
        # FHIR R4 asks for SHA-1; it guards against accidents here, not against an attacker.
        "hash": base64.b64encode(hashlib.sha1(pdf, usedforsecurity=False).digest()).decode(),
        "title": wording.title(case.case_id),
    }


def _narrative(text: str) -> Json:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{html.escape(text)}</div>'}


def _named(name: str) -> str:
    return _plain(name) or wording.NOT_STATED


def _plain(text: str) -> str:
    """User text without what FHIR strings may not hold (R4, datatypes: string): control characters, surrogates."""
    kept = (one for one in text if one in "\r\n\t" or unicodedata.category(one) not in ("Cc", "Cs"))
    return "".join(kept).strip()
