"""Age and body site as callers state them: in the query, in JSON, in a form or in a platform's header.

None of it reaches a log line or an error's text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Query

from data.cases.case import SITES
from model.inference.clinical import MAX_AGE, NO_FACTS, UNKNOWN, PatientFacts
from model.server.problems import Problem

_AGE = "The patient's age in years; the answer takes it into account. Unknown where it is not stated."
_SITE = "Where the lesion is, in HAM10000's words; the answer takes it into account."
_OVERRIDES = "Comes before the query parameter."
# What a body may hold, for the OpenAPI document. A form has no null.
FORM_FIELDS: Mapping[str, Any] = {
    "age": {"type": "number", "minimum": 0, "maximum": MAX_AGE, "description": f"{_AGE} {_OVERRIDES}"},
    "site": {"type": "string", "enum": list(SITES), "description": f"{_SITE} {_OVERRIDES}"},
}
JSON_FIELDS: Mapping[str, Any] = {**FORM_FIELDS, "age": {**FORM_FIELDS["age"], "type": ["number", "null"]}}

_AgeQuery = Annotated[float | None, Query(ge=0, le=MAX_AGE, description=_AGE)]
_SiteQuery = Annotated[str, Query(description=_SITE, json_schema_extra={"enum": list(SITES)})]


# Without waiting, but `async`: FastAPI would run a plain function in a thread.
async def _of_query(age: _AgeQuery = None, site: _SiteQuery = UNKNOWN) -> PatientFacts:
    return facts_of({"age": age, "site": site})


QueryFacts = Annotated[PatientFacts, Depends(_of_query)]


def facts_of(fields: Mapping[str, Any], otherwise: PatientFacts = NO_FACTS) -> PatientFacts:
    """The facts that the fields `age` and `site` state.

    Args:
        fields: of a JSON object; others are left alone.
        otherwise: what holds where they say nothing.

    Raises:
        Problem: `invalid_request`, which names the field and not what it held.
    """
    facts = otherwise
    if "age" in fields:
        facts = _with_age(facts, fields["age"])
    if "site" in fields:
        facts = _with_site(facts, fields["site"])
    return facts


def facts_of_text(fields: Mapping[str, Any], otherwise: PatientFacts = NO_FACTS) -> PatientFacts:
    """As `facts_of`, of a form or a header, where a number is text."""
    if "age" not in fields:
        return facts_of(fields, otherwise)
    try:
        return facts_of({**fields, "age": float(fields["age"])}, otherwise)
    # TypeError: a file by that name.
    except (TypeError, ValueError) as error:
        raise _wrong_age() from error


def _with_age(facts: PatientFacts, age: object) -> PatientFacts:
    if age is None:
        return replace(facts, age=None)
    if isinstance(age, bool) or not isinstance(age, int | float):
        raise _wrong_age()
    try:
        return replace(facts, age=float(age))
    except (ValueError, OverflowError) as error:
        raise _wrong_age() from error


def _with_site(facts: PatientFacts, site: Any) -> PatientFacts:
    try:
        return replace(facts, site=site)
    except ValueError as error:
        raise _wrong(f"site as one of {', '.join(SITES)}") from error


def _wrong_age() -> Problem:
    return _wrong(f"age as a number of years from 0 to {MAX_AGE}")


def _wrong(expected: str) -> Problem:
    return Problem("invalid_request", f"expected {expected}, received something else; see /openapi.json")
