"""What people read about signing in, roles and the audit trail."""

from __future__ import annotations

from dashboard.doors.wording import ADMINISTRATOR
from dashboard.shell.formats import escape
from data.cases.audit import CASE_FAULTS, AuditFault, AuditReport
from data.cases.case import Actor

ROLE_NAMES = {"clinician": "Clinician", "researcher": "Researcher", "admin": "Administrator"}


def not_open(title: str, actor: Actor) -> str:
    """For a page that the role may not see."""
    return (
        f"The page {title} is not open to the role {ROLE_NAMES[actor.role].lower()}. "
        f"Ask {ADMINISTRATOR} if you need it."
    )


def signed_in_as(actor: Actor) -> str:
    """Name, role and organisation in the header."""
    return f"{actor.name} · {ROLE_NAMES[actor.role]} · {actor.organisation}"


def ends_soon(seconds: float) -> str:
    """When a sign-in is about to end."""
    minutes = max(1, round(seconds / 60))
    return f"Your sign-in ends in {minutes} min. Save what you are working on."


# --- Audit trail -----------------------------------------------------------------------------------------------------

AUDIT_TITLE = "Audit"
AUDIT_INTRODUCTION = (
    "Who did what with which case, newest first, for your organisation. Entries are only ever added; each one seals "
    "those before it, so a later change shows."
)
AUDIT_EMPTY = "Nothing was recorded yet. The first sign-in, save or view of a case stands here."
CHECK = "Check the trail"
CHECK_HELP = (
    "Reads every entry and every case of all organisations, and checks that none was changed, taken out, put in or "
    "moved."
)
DOWNLOAD = "CSV"


def audit_columns(zone: str) -> tuple[str, ...]:
    """Headings of the table of entries, whose times are stated in a zone."""
    return (f"Time ({zone})", "Who", "Role", "What", "Case", "Details")


def whole(report: AuditReport) -> str:
    """What a check without a fault says; the seal proves later that nothing was put back."""
    if report.entries == 0:
        return "The trail is whole; it has no entries yet."
    count = "1 entry" if report.entries == 1 else f"{report.entries:,} entries"
    if not report.is_proven:
        return f"{count} follow one another. Without the key nothing proves that they, or the cases, are unchanged."
    return (
        f"The trail is whole: {count}, none changed, missing or moved. {_cases(report)} "
        f"Keep the seal of the last one elsewhere: {report.last_hash}"
    )


def _cases(report: AuditReport) -> str:
    said = "1 case is as it was saved" if report.cases == 1 else f"{report.cases:,} cases are as they were saved"
    if report.sealed_at is None:
        return f"{said}."
    return f"{said}; of those from before {report.sealed_at:%Y-%m-%d} this is known since that day."


def broken(fault: AuditFault) -> str:
    """What a check with a fault says."""
    if fault.kind in CASE_FAULTS:
        return (
            f"The trail is whole, but the cases are not: {fault.text}. "
            f"Keep a copy of the database as it is and tell {ADMINISTRATOR}."
        )
    return f"The trail is not whole: {fault.text}. Keep a copy of the database as it is and tell {ADMINISTRATOR}."


def shown_entries(shown: int, limit: int) -> str:
    """How many entries the table holds."""
    return f"The latest {shown:,} entries." if shown == limit else f"All entries ({shown:,})."


def unknown_task(asked: str, name: str) -> str:
    """Of an address that asks for a task of which there is no model; `name` is that of the task shown instead."""
    return f"The address asks for the task {escape(asked)!r}, which no model here is of. **{escape(name)}** is shown."
