"""The command line of the case log (`data.cases.log`).

    python -m data.case_log verify --database sqlite:///data/local/cases.db --key-file data/local/case_key
    python -m data.case_log list-audit --database URL --key-file FILE --limit 20
    python -m data.case_log sweep --database URL --key-file FILE --images data/local/images

Exit codes: 0 fine, 1 a fault was found in the audit trail, 2 wrong usage or the log or the images cannot be reached.
"""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import replace
from pathlib import Path

from data.cases.audit import AuditEntry
from data.cases.case import LOCAL_ACTOR
from data.cases.database import CaseLogUnavailable, sqlite_file
from data.cases.log import CaseLog, open_case_log
from data.cases.storage import StorageUnavailable, open_image_store


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m data.case_log",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=("verify", "sweep", "list-audit"))
    parser.add_argument("--database", required=True, metavar="URL", help="of the case log, as DATABASE_URL")
    parser.add_argument("--key-file", required=True, type=Path, metavar="FILE", help="with the log's key, as CASE_KEY")
    parser.add_argument("--images", metavar="PLACE", help="folder or s3://bucket/prefix, as IMAGE_STORE; for sweep")
    parser.add_argument("--images-endpoint", metavar="URL", help="of an S3-compatible store, as IMAGE_STORE_ENDPOINT")
    parser.add_argument("--organisation", default=LOCAL_ACTOR.organisation, help="whose entries list-audit prints")
    parser.add_argument("--limit", type=int, default=50, help="how many entries list-audit prints, newest first")
    arguments = parser.parse_args()
    if arguments.command == "sweep" and not arguments.images:
        parser.error("expected --images for sweep, received none")
    try:
        with contextlib.closing(_opened(arguments)) as log:
            parser.exit(_run(log, arguments))
    except (CaseLogUnavailable, StorageUnavailable, ValueError, OSError) as error:
        parser.exit(2, f"{error}\n")


def _opened(arguments: argparse.Namespace) -> CaseLog:
    file = sqlite_file(arguments.database)
    if file is not None and not file.is_file():  # which opening it would make
        raise ValueError(f"expected the file of a case log, found none at {file}; check --database")
    images = open_image_store(arguments.images or ".", arguments.images_endpoint)
    return open_case_log(arguments.database, images, arguments.key_file.read_bytes().strip())


def _run(log: CaseLog, arguments: argparse.Namespace) -> int:
    if arguments.command == "verify":
        return _verify(log)
    if arguments.command == "sweep":
        print(f"images that no case names: {log.sweep()} removed")
        return 0
    for entry in log.audit_entries(replace(LOCAL_ACTOR, organisation=arguments.organisation), arguments.limit):
        print(_line(entry))
    return 0


def _verify(log: CaseLog) -> int:
    report = log.verify(LOCAL_ACTOR)
    if report.fault is None:
        print(f"{report.entries} entries, whole and in order; the last has the hash {report.last_hash or '(none)'}")
        return 0
    print(f"{report.fault.kind}: {report.fault.text}; the {report.entries} entries before it are whole and in order")
    return 1


def _line(entry: AuditEntry) -> str:
    parts = (entry.number, f"{entry.at:%Y-%m-%d %H:%M:%S} UTC", entry.action, entry.actor, entry.role)
    line = "  ".join(str(part) for part in (*parts, entry.case_id or "-", entry.details))
    # A name is the sign-in's word: it must not move the cursor of a terminal.
    return "".join(character if character.isprintable() else "?" for character in line)


if __name__ == "__main__":
    main()
