"""What the Audit page draws: a check of the whole trail, and its latest entries."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields

import pandas as pd
import streamlit as st

from dashboard.access import wording
from dashboard.resources import stores
from dashboard.shell.formats import plain_cell
from dashboard.shell.identity import actor
from dashboard.shell.times import to_the_second, zone_name
from data.cases.audit import AuditEntry

MAX_ENTRIES = 1000
FILE_NAME = "lesionlens_audit.csv"


def check() -> None:
    """A button that reads the whole trail, which takes seconds where it is long, and what came out."""
    if not st.button(wording.CHECK, key="audit_check", icon=":material/fact_check:", help=wording.CHECK_HELP):
        return
    report = stores.case_log().verify(actor())
    if report.fault is None:
        st.info(wording.whole(report), icon=":material/link:")
    else:
        st.error(wording.broken(report.fault), icon=":material/link_off:")


def entries() -> None:
    """The latest entries as a table, and as CSV with their hashes."""
    found = stores.case_log().audit_entries(actor(), MAX_ENTRIES)
    if not found:
        st.info(wording.AUDIT_EMPTY, icon=":material/history:")
        return
    st.caption(wording.shown_entries(len(found), MAX_ENTRIES))
    st.dataframe(audit_table(found), hide_index=True, width="stretch", key="audit_entries")
    st.download_button(
        wording.DOWNLOAD,
        data=lambda: audit_csv(found),
        file_name=FILE_NAME,
        mime="text/csv",
        key="audit_csv",
        icon=":material/download:",
        on_click="ignore",
        help=f"Download {FILE_NAME}",
    )


def audit_table(entries: Sequence[AuditEntry]) -> pd.DataFrame:
    """The entries as they are read, one row each."""
    rows = [
        (
            to_the_second(entry.at),
            entry.actor,
            wording.ROLE_NAMES.get(entry.role, entry.role),
            entry.action,
            str(entry.case_id or ""),
            "" if entry.details == "{}" else entry.details,
        )
        for entry in entries
    ]
    return pd.DataFrame(rows, columns=list(wording.audit_columns(zone_name())))


def audit_csv(entries: Sequence[AuditEntry]) -> bytes:
    """The entries with all their fields, UTF-8; no cell runs as a formula in a spreadsheet."""
    file = io.StringIO()
    writer = csv.DictWriter(file, [field.name for field in fields(AuditEntry)])
    writer.writeheader()
    writer.writerows({name: plain_cell(value) for name, value in asdict(entry).items()} for entry in entries)
    return file.getvalue().encode()
