"""The command line of the case log (`data.cases.log`).

    python -m data.case_log verify --database sqlite:///data/local/cases.db --key-file data/local/case_key
    python -m data.case_log list-audit --database URL --key-file FILE --limit 20
    python -m data.case_log sweep --database URL --key-file FILE --images data/local/images
    python -m data.case_log backup --database URL --key-file FILE --images data/local/images --folder ../backups/today
    python -m data.case_log restore --database URL --key-file FILE --images data/local/images --folder ../backups/today
    python -m data.case_log rekey --database URL --key-file FILE --new-key-file FILE

Exit codes: 0 fine, 1 a fault was found in the audit trail, a case or an image, 2 wrong usage or the log or the images
cannot be reached.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from data.cases.audit import CASE_FAULTS, AuditEntry, AuditReport
from data.cases.backup import BackupError, make_backup, restore
from data.cases.case import LOCAL_ACTOR
from data.cases.database import CaseLogUnavailable, open_there
from data.cases.keys import fingerprint, rekey
from data.cases.log import CaseLog, open_case_log, open_without_key
from data.cases.orphans import KEPT_ASIDE, TooManyOrphans
from data.cases.storage import ENCRYPTIONS, ImageStore, StorageUnavailable, open_image_store

_EXPECTED = (BackupError, CaseLogUnavailable, StorageUnavailable, TooManyOrphans, ValueError, OSError)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m data.case_log",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=tuple(_COMMANDS))
    parser.add_argument("--database", required=True, metavar="URL", help="of the case log, as DATABASE_URL")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="with the log's key, as CASE_KEY")
    parser.add_argument("--without-key", action="store_true", help="verify says what can be said where the key is lost")
    parser.add_argument("--new-key-file", type=Path, metavar="FILE", help="with the key that rekey gives the log")
    parser.add_argument("--images", metavar="PLACE", help="folder or s3://bucket/prefix, as IMAGE_STORE")
    parser.add_argument("--images-endpoint", metavar="URL", help="of an S3-compatible store, as IMAGE_STORE_ENDPOINT")
    parser.add_argument("--images-encryption", choices=ENCRYPTIONS, default="AES256", help="as IMAGE_STORE_ENCRYPTION")
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="of the backup, new for backup")
    parser.add_argument("--without-images", action="store_true", help="backup and restore leave the images alone")
    parser.add_argument("--any-number", action="store_true", help="sweep sets aside however many images there are")
    parser.add_argument("--organisation", default=LOCAL_ACTOR.organisation, help="whose entries list-audit prints")
    parser.add_argument("--limit", type=int, default=50, help="how many entries list-audit prints, newest first")
    arguments = parser.parse_args()
    if missing := _missing(arguments):
        parser.error(f"expected {missing} for {arguments.command}, received none")
    try:
        parser.exit(_COMMANDS[arguments.command](arguments))
    except _EXPECTED as error:
        parser.exit(2, f"{error}\n")


def _missing(arguments: argparse.Namespace) -> str:
    """What a command needs and was not given."""
    if arguments.key_file is None and not (arguments.command == "verify" and arguments.without_key):
        return "--key-file"
    if arguments.command == "rekey" and arguments.new_key_file is None:
        return "--new-key-file"
    is_copy = arguments.command in ("backup", "restore")
    if is_copy and arguments.folder is None:
        return "--folder"
    if arguments.images is None and (arguments.command == "sweep" or (is_copy and not arguments.without_images)):
        return "--images or --without-images" if is_copy else "--images"
    return ""


def _key(file: Path) -> bytes:
    return file.read_bytes().strip()


def _images(arguments: argparse.Namespace) -> ImageStore:
    return open_image_store(arguments.images or ".", arguments.images_endpoint, arguments.images_encryption)


def _opened(arguments: argparse.Namespace) -> CaseLog:
    return open_case_log(arguments.database, _images(arguments), _key(arguments.key_file), is_there=True)


def _verify(arguments: argparse.Namespace) -> int:
    is_proof = not arguments.without_key
    log = _opened(arguments) if is_proof else open_without_key(arguments.database, _images(arguments))
    with contextlib.closing(log):
        report = log.verify(LOCAL_ACTOR)
        print(_said(report))
        lacking = log.lacking_images() if arguments.images else {}
    for key, case_id in lacking.items():
        print(f"image missing: case {case_id} names {key}, which the store does not give as it was saved")
    return 0 if report.fault is None and not lacking else 1


def _said(report: AuditReport) -> str:
    if report.fault is not None and report.fault.kind in CASE_FAULTS:
        return f"{report.fault.kind}: {report.fault.text}; {report.cases} cases are as they were saved"
    if report.fault is not None:
        return (
            f"{report.fault.kind}: {report.fault.text}; the {report.entries} entries before it are whole and in order"
        )
    if not report.is_proven:
        return (
            f"{report.entries} entries follow one another. Without the key nothing proves that they, or the cases, are "
            f"what was written; the last has the hash {report.last_hash or '(none)'}"
        )
    return (
        f"{report.cases} cases, as they were saved{_since(report)}\n"
        f"{report.entries} entries, whole and in order; the last has the hash {report.last_hash or '(none)'}"
    )


def _since(report: AuditReport) -> str:
    if report.sealed_at is None:
        return ""
    return f"; those from before {report.sealed_at:%Y-%m-%d %H:%M} UTC as they were found then"


def _list_audit(arguments: argparse.Namespace) -> int:
    with contextlib.closing(_opened(arguments)) as log:
        for entry in log.audit_entries(replace(LOCAL_ACTOR, organisation=arguments.organisation), arguments.limit):
            print(_line(entry))
    return 0


def _line(entry: AuditEntry) -> str:
    parts = (entry.number, f"{entry.at:%Y-%m-%d %H:%M:%S} UTC", entry.action, entry.actor, entry.role)
    line = "  ".join(str(part) for part in (*parts, entry.case_id or "-", entry.details))
    # A name is the sign-in's word: it must not move the cursor of a terminal.
    return "".join(character if character.isprintable() else "?" for character in line)


def _sweep(arguments: argparse.Namespace) -> int:
    with contextlib.closing(_opened(arguments)) as log:
        swept = log.sweep(most=None) if arguments.any_number else log.sweep()
    print(
        f"images that no case names: {swept.set_aside} set aside for {KEPT_ASIDE.days} days, {swept.removed} of "
        f"earlier ones removed; {swept.put_back} put back, since a case names them again"
    )
    return 0


def _backup(arguments: argparse.Namespace) -> int:
    images = None if arguments.without_images else _images(arguments)
    made = make_backup(arguments.database, images, _key(arguments.key_file), arguments.folder)
    copied = "no images" if made.images is None else f"{made.images} images"
    print(
        f"{arguments.folder}: {made.cases} cases, {made.entries} entries and {copied}; the last entry has the hash "
        f"{made.last_hash or '(none)'}; opens with the key {made.key_fingerprint}, which is not in it"
    )
    if made.fault is not None:
        print(f"the log was not whole when it was copied: {made.fault}")
    for key in made.lacking:
        print(f"image missing: {key}")
    return 1 if made.fault is not None or made.lacking else 0


def _restore(arguments: argparse.Namespace) -> int:
    images = None if arguments.without_images else _images(arguments)
    _, report = restore(arguments.folder, arguments.database, images, _key(arguments.key_file))
    print(_said(report))
    return 0 if report.fault is None else 1


def _rekey(arguments: argparse.Namespace) -> int:
    old, new = _key(arguments.key_file), _key(arguments.new_key_file)
    with contextlib.closing(open_there(arguments.database, is_current=True)) as database:
        rekey(database, old, new)
    print(f"the log opens with the key {fingerprint(new)} now, and no more with {fingerprint(old)}")
    return 0


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "verify": _verify,
    "list-audit": _list_audit,
    "sweep": _sweep,
    "backup": _backup,
    "restore": _restore,
    "rekey": _rekey,
}


if __name__ == "__main__":
    main()
