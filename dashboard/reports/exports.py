"""Cases as files: CSV, JSON and images of several, PDF and FHIR of one.

Each `export_...` writes the export into the audit trail before it gives the bytes. They run when a download button is
pressed, outside the script that drew it: they are handed all they need and never ask Streamlit.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from dashboard.reports.fhir import diagnostic_report
from dashboard.reports.pdf import case_pdf
from dashboard.shell.formats import plain_cell
from data.cases.case import Actor, Case, ModelResult
from data.cases.log import CaseLog
from data.cases.queries import CaseQuery
from data.cases.storage import ImageAltered, ImageMissing
from data.tasks.task import Task
from model.analysis.analyzer import Analysis

# A ZIP is made in memory: so many cases at once, and so many bytes of images in them.
MAX_ZIP_CASES = 200
MAX_ZIP_BYTES = 512 * 2**20
JSON_FORMAT = "LesionLens cases 1"
CSV_IN_ZIP = "cases.csv"


@dataclass(frozen=True)
class Selection:
    """The cases of an export: those named, or all that a query finds; of one task, since another has other columns.

    Attributes:
        task: of the cases.
        case_ids: rows that were ticked; empty for all of `query`.
    """

    log: CaseLog
    actor: Actor
    task: Task
    query: CaseQuery
    case_ids: tuple[UUID, ...] = ()

    def cases(self) -> list[Case]:
        """The whole cases, in the order of the list; those whose rows cannot be read are left out, as in the list."""
        if self.case_ids:
            return [self.log.case(case_id, self.actor) for case_id in self.case_ids]
        return list(self.log.cases(replace(self.query, task=self.task.key), self.actor, unreadable=[]))


def export_csv(selection: Selection) -> bytes:
    """The cases as CSV; raises what the log raises."""
    cases = selection.cases()
    content = csv_of(cases, selection.task)
    _record(selection.log, cases, "CSV", selection.actor)
    return content


def export_json(selection: Selection) -> bytes:
    """All fields of the cases as JSON; raises what the log raises."""
    cases = selection.cases()
    content = json_of(cases, selection.task, selection.actor, datetime.now(UTC))
    _record(selection.log, cases, "JSON", selection.actor)
    return content


def export_images(selection: Selection) -> bytes:
    """The images of the cases and their CSV as ZIP; raises what the log raises, and `StorageUnavailable`."""
    cases = selection.cases()
    content = zip_of(cases, selection.task, lambda case: selection.log.image(case, selection.actor))
    _record(selection.log, cases, "images", selection.actor)
    return content


def export_pdf(log: CaseLog, case: Case, analysis: Analysis, actor: Actor) -> bytes:
    """The report of one case; raises what the log raises."""
    content = case_pdf(case, analysis, actor, datetime.now(UTC))
    _record(log, [case], "PDF", actor)
    return content


def export_fhir(log: CaseLog, case: Case, analysis: Analysis, actor: Actor) -> bytes:
    """The case as FHIR JSON with its report inside; raises what the log raises."""
    content = diagnostic_report(case, case_pdf(case, analysis, actor, datetime.now(UTC))).encode()
    _record(log, [case], "FHIR", actor)
    return content


def _record(log: CaseLog, cases: Sequence[Case], what: str, actor: Actor) -> None:
    log.record_export([case.case_id for case in cases], what, actor)


# --- CSV -------------------------------------------------------------------------------------------------------------


def csv_of(cases: Iterable[Case], task: Task, extra: Callable[[Case], dict[str, str]] = lambda case: {}) -> bytes:
    """One row a case, UTF-8 with the mark that spreadsheets look for; texts that could run as a formula are escaped.

    Args:
        cases: whole cases of one task.
        task: that task, whose codes and question name columns.
        extra: further columns of a case.

    Raises:
        ValueError: a case of another task.
    """
    columns = _columns(task)
    rows = [{name: value(case) for name, value in columns.items()} | extra(case) for case in _of_task(cases, task)]
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]) if rows else list(columns), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: plain_cell(value) for name, value in row.items()} for row in rows)
    return file.getvalue().encode("utf-8-sig")


def _of_task(cases: Iterable[Case], task: Task) -> list[Case]:
    cases = list(cases)
    others = sorted({case.task.key for case in cases} - {task.key})
    if others:
        raise ValueError(
            f"expected cases of the task {task.key}, received cases of {', '.join(others)} as well; export the cases "
            "of one task at a time"
        )
    return cases


def _number(value: float | None) -> float | str:
    return "" if value is None or math.isnan(value) else value


def _of_read(name: str) -> Callable[[Case], Any]:
    return lambda case: "" if case.own_read is None else getattr(case.own_read, name)


def _of_biopsy(name: str) -> Callable[[Case], Any]:
    return lambda case: "" if case.biopsy is None else getattr(case.biopsy, name)


def _probability(index: int) -> Callable[[Case], Any]:
    return _of_answer(lambda answer: answer.probabilities[index])


def _of_answer(value: Callable[[ModelResult], Any]) -> Callable[[Case], Any]:
    return lambda case: "" if case.refusal else value(case.answered)


def _columns(task: Task) -> dict[str, Callable[[Case], Any]]:
    """Value of a case by the name of its column; what is not known is empty, as is an answer that was refused."""
    return {
        "case_id": lambda case: str(case.case_id),
        "saved_at": lambda case: case.saved_at.isoformat(),
        "saved_by": lambda case: case.saved_by,
        "organisation": lambda case: case.organisation,
        "patient_reference": lambda case: case.patient.reference,
        "age": lambda case: _number(case.patient.age),
        "sex": lambda case: case.patient.sex,
        "lesion_id": lambda case: str(case.lesion.lesion_id),
        "site": lambda case: case.lesion.site,
        "side": lambda case: case.lesion.side,
        "note": lambda case: case.lesion.note,
        "own_dx": _of_read("dx"),
        "own_certainty": _of_read("certainty"),
        "own_plan": _of_read("plan"),
        "dx": lambda case: case.decision.dx,
        "plan": lambda case: case.decision.plan,
        "reason": lambda case: case.decision.reason,
        "biopsy_dx": _of_biopsy("dx"),
        "biopsy_reported_on": _of_biopsy("reported_on"),
        "biopsy_note": _of_biopsy("note"),
        **{dx: _probability(index) for index, dx in enumerate(task.codes)},
        "prediction": _of_answer(lambda answer: answer.prediction),
        task.question.column: _of_answer(lambda answer: answer.p_positive),
        "is_flagged": _of_answer(lambda answer: answer.is_flagged),
        "threshold": _of_answer(lambda answer: answer.threshold),
        "operating_point": _of_answer(lambda answer: answer.operating_point),
        "sensitivity": _of_answer(lambda answer: _number(answer.sensitivity)),
        "specificity": _of_answer(lambda answer: _number(answer.specificity)),
        "conformal_set": _of_answer(lambda answer: "|".join(answer.conformal_set)),
        "conformal_level": _of_answer(lambda answer: answer.conformal_level),
        f"member_{task.question.column}": _of_answer(lambda answer: "|".join(map(str, answer.member_p_positive))),
        "population": _of_answer(lambda answer: answer.population),
        "quality": lambda case: case.result.quality,
        "ood_score": lambda case: _number(case.result.ood_score),
        "model_name": lambda case: case.result.model_name,
        "model_version": lambda case: case.result.model_version,
        "artifact_sha256": lambda case: case.result.artifact_sha256,
        "preprocessing_version": lambda case: case.result.preprocessing_version,
        "heatmap_method": _of_answer(lambda answer: answer.heatmap_method),
        "runtime_ms": lambda case: case.result.runtime_ms,
        "captured_name": lambda case: case.captured_name,
        "image_sha256": lambda case: case.image_sha256,
        "image_width": lambda case: case.image_width,
        "image_height": lambda case: case.image_height,
        "own_is_informed": _of_read("is_informed"),
        "own_other": _of_read("other"),
        "other": lambda case: case.decision.other,
        "biopsy_other": _of_biopsy("other"),
        "refusal": lambda case: case.refusal.reason if case.refusal else "",
        "task": lambda case: case.task.key,
    }


# --- JSON ------------------------------------------------------------------------------------------------------------


def json_of(cases: Iterable[Case], task: Task, exported_by: Actor, exported_at: datetime) -> bytes:
    """All fields of the cases of one task: probabilities in the order of `dx_codes`, evidence as base64, times in UTC.

    Raises:
        ValueError: a case of another task.
    """
    document = {
        "format": JSON_FORMAT,
        "exported_at": exported_at,
        "exported_by": exported_by.name,
        "task": task.key,
        "dx_codes": task.codes,
        "cases": [_fields(case) for case in _of_task(cases, task)],
    }
    return json.dumps(_plain(document), ensure_ascii=False, allow_nan=False, indent=1).encode()


def _fields(case: Case) -> dict[str, Any]:
    """All fields; those of the question have its name, as in CSV, and the task is said once, above all cases.

    Of a refused image, `result` holds the reason, and no field of an answer.
    """
    column = case.task.question.column
    names = {"p_positive": column, "member_p_positive": f"member_{column}"}
    fields = asdict(case)
    del fields["result"]["task"]
    return fields | {"result": {names.get(name, name): value for name, value in fields["result"].items()}}


def _plain(value: Any) -> Any:
    """A value as JSON can hold it; what cannot be said (NaN) is null."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, date):  # a datetime is one
        return value.isoformat()
    if isinstance(value, float) and math.isnan(value):
        return None
    return str(value) if isinstance(value, UUID) else value


# --- Images ----------------------------------------------------------------------------------------------------------


def zip_of(
    cases: Sequence[Case], task: Task, image_of: Callable[[Case], bytes], max_bytes: int = MAX_ZIP_BYTES
) -> bytes:
    """The images by case id and `cases.csv` beside them, whose columns say which file shows a case.

    A missing or altered image, or one for which there is no room, leaves its column `image` empty and says why in
    `image_problem`: one image must not keep the others from being exported.

    Args:
        cases: whole cases of one task.
        task: that task.
        image_of: PNG bytes of a case's image; may raise `ImageMissing` and `ImageAltered`.
        max_bytes: of all images together.
    """
    columns: dict[UUID, dict[str, str]] = {}
    room = max_bytes
    file = io.BytesIO()
    # PNG is compressed already.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for case in cases:
            content, problem = _image_or_problem(case, image_of, room)
            name = f"{case.case_id}.png" if content else ""
            if content:
                archive.writestr(name, content)
                room -= len(content)
            columns[case.case_id] = {"image": name, "image_problem": problem}
        archive.writestr(CSV_IN_ZIP, csv_of(cases, task, lambda case: columns[case.case_id]))
    return file.getvalue()


def _image_or_problem(case: Case, image_of: Callable[[Case], bytes], room: int) -> tuple[bytes, str]:
    try:
        content = image_of(case)
    except ImageMissing:
        return b"", "missing"
    except ImageAltered:
        return b"", "altered since it was saved"
    return (content, "") if len(content) <= room else (b"", "left out: the file would be too large")
