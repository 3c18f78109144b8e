"""Cases with a reference result as a training set shaped like HAM10000: of skin lesions those with a biopsy.

    python -m data.cases.labelled --database sqlite:///data/local/cases.db --images data/local/images \
        --key-file data/local/case_key --task skin --output labelled
    python -m model.train ... --extra labelled

The folder holds `HAM10000_metadata.csv` (dx as the biopsy found it, dx_type `histo`) and `images/` as JPEG. Images
of one lesion (or eye) keep one lesion_id. The ids are those of the log, so that a case that is deleted there can be
found and removed here; patient references, notes, names and times stay out. Ages are rounded to five years and end at
85, as HAM10000's do. An image is personal data all the same: use it under the rules it was taken under.

Exit codes: 0 written, 2 wrong usage, nothing to write, or the log or the images cannot be reached.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pandas as pd
from PIL import Image

from data.cases.case import LOCAL_ACTOR, Actor, Case
from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseLog, open_case_log
from data.cases.queries import CaseQuery
from data.cases.storage import ImageAltered, ImageMissing, StorageUnavailable, open_image_store
from data.datasets.ham10000 import METADATA_COLUMNS, METADATA_FILE, DatasetError
from data.tasks.known import DEFAULT_TASK, TASKS
from data.tasks.task import OTHER, Task

IMAGE_FOLDER = "images"
MAX_AGE, AGE_STEP = 85, 5  # years; HAM10000 rounds ages to 5 and ends at 85
# Hardly to be seen, and no coarser than what cameras write.
JPEG_QUALITY = 95
WHAT = "labelled training set"

# Takes a file's path inside the set and its bytes.
Write = Callable[[str, bytes], None]


@dataclass(frozen=True)
class LabelledSet:
    """What was written, and what was left out.

    Attributes:
        images, lesions: written.
        contradictory: cases of lesions whose biopsies differ; a lesion of a training set has one dx.
        refused: cases of images that the model refused, which may show anything.
        other: cases whose biopsy found what is none of the task's classes, which a training set has no dx for.
        unreadable: cases whose image is missing or was altered, or whose row cannot be read.
    """

    images: int
    lesions: int
    contradictory: int
    refused: int
    other: int
    unreadable: int


@dataclass(frozen=True)
class LabelledCases:
    """The cases that make a training set, in their order, and how many were left out: see `LabelledSet`."""

    cases: tuple[Case, ...]
    contradictory: int
    refused: int
    other: int


def labelled_cases(cases: Iterable[Case]) -> LabelledCases:
    """Which of the cases have a biopsy that a training set can use."""
    biopsied = [case for case in cases if case.biopsy is not None]
    found: dict[object, set[str]] = {}
    for case in biopsied:
        found.setdefault(case.lesion.lesion_id, set()).add(_dx(case))
    clear = [case for case in biopsied if len(found[case.lesion.lesion_id]) == 1]
    answered = [case for case in clear if case.refusal is None]
    of_classes = tuple(case for case in answered if _dx(case) != OTHER)
    return LabelledCases(
        of_classes,
        contradictory=len(biopsied) - len(clear),
        refused=len(clear) - len(answered),
        other=len(answered) - len(of_classes),
    )


def export_labelled(log: CaseLog, actor: Actor, task: Task, write: Write) -> LabelledSet:
    """Write the labelled cases of a task of the actor's organisation, the metadata last; recorded in the trail first.

    Args:
        log: the case log.
        actor: who exports; a researcher may not.
        task: what is to be trained.
        write: takes each file.

    Raises:
        DatasetError: no case has a biopsy that the set can use, or none of them a readable image.
        CaseLogUnavailable, NotAllowed, StorageUnavailable: as the log does.
    """
    query = CaseQuery(task=task.key, has_biopsy=True, is_descending=False)
    unreadable: list[UUID] = []
    found = labelled_cases(log.cases(query, actor, unreadable))
    if not found.cases:
        raise DatasetError(
            f"expected cases with a {task.words.reference} result among {', '.join(task.codes)}, found none; enter "
            "results on the Cases page"
        )
    log.record_export([case.case_id for case in found.cases], WHAT, actor)
    rows = [_row(case) for case in found.cases if _is_written(case, log, actor, write)]
    if not rows:
        raise DatasetError("expected images of the labelled cases, found none that can be read; check the image store")
    metadata = pd.DataFrame(rows, columns=list(METADATA_COLUMNS))
    write(METADATA_FILE, metadata.to_csv(index=False).encode())
    return LabelledSet(
        images=len(rows),
        lesions=metadata["lesion_id"].nunique(),
        contradictory=found.contradictory,
        refused=found.refused,
        other=found.other,
        unreadable=len(unreadable) + len(found.cases) - len(rows),
    )


def labelled_zip(log: CaseLog, actor: Actor, task: Task) -> bytes:
    """The set as a ZIP, made in memory; raises what `export_labelled` raises."""
    file = io.BytesIO()
    # JPEG is compressed already.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        export_labelled(log, actor, task, archive.writestr)
    return file.getvalue()


def labelled_folder(log: CaseLog, actor: Actor, task: Task, folder: Path) -> LabelledSet:
    """The set as a folder. The metadata is written last: a folder without it was cut short and cannot be trained on.

    Raises:
        DatasetError: the folder holds something already; also as `export_labelled`.
        OSError: the folder cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"expected an empty or new folder, received {folder}, which holds files; choose another")

    def write(name: str, content: bytes) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return export_labelled(log, actor, task, write)


def image_id_of(case: Case) -> str:
    """Name of a case's image in a labelled set."""
    return f"CASE_{case.case_id.hex}"


def _is_written(case: Case, log: CaseLog, actor: Actor, write: Write) -> bool:
    try:
        content = log.image(case, actor)
    except (ImageMissing, ImageAltered):  # one image must not keep the others from being used
        return False
    write(f"{IMAGE_FOLDER}/{image_id_of(case)}.jpg", _jpeg(content))
    return True


def _jpeg(png: bytes) -> bytes:
    """HAM10000's own format, which is what a dataset folder is searched for; colours at full resolution."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return file.getvalue()


def _row(case: Case) -> tuple[object, ...]:
    lesion_id = f"LESION_{case.lesion.lesion_id.hex}"
    patient = case.patient
    found_by, site = case.task.words.dx_type, case.lesion.site
    return lesion_id, image_id_of(case), _dx(case), found_by, _rounded(patient.age), patient.sex, site


def _dx(case: Case) -> str:
    return "" if case.biopsy is None else case.biopsy.dx


def _rounded(age: float | None) -> float | None:
    return None if age is None else min(float(AGE_STEP * round(age / AGE_STEP)), float(MAX_AGE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", required=True, help="URL of the case log, as DATABASE_URL")
    parser.add_argument("--images", required=True, help="folder or s3://bucket/prefix of the images, as IMAGE_STORE")
    parser.add_argument("--images-endpoint", help="URL of an S3-compatible store, as IMAGE_STORE_ENDPOINT")
    parser.add_argument("--key-file", type=Path, required=True, help="file with the log's key, as CASE_KEY")
    parser.add_argument("--organisation", default=LOCAL_ACTOR.organisation, help="whose cases")
    parser.add_argument("--task", choices=tuple(TASKS), default=DEFAULT_TASK, help="cases of which task")
    parser.add_argument("--output", type=Path, required=True, help="folder to write, new or empty")
    arguments = parser.parse_args()
    try:
        written = _run(arguments)
    except (DatasetError, CaseLogUnavailable, StorageUnavailable, ValueError, OSError) as error:
        parser.exit(2, f"{error}\n")
    words = TASKS[arguments.task].words
    print(
        f"{arguments.output}: {written.images:,} images of {written.lesions:,} {words.subjects}; left out: "
        f"{written.contradictory:,} with differing {words.reference} results of one {words.subject}, "
        f"{written.other:,} of another {words.label}, {written.refused:,} of refused images, "
        f"{written.unreadable:,} that cannot be read or have no readable image; "
        f"next: python -m model.train --task {arguments.task} --extra {arguments.output}"
    )


def _run(arguments: argparse.Namespace) -> LabelledSet:
    images = open_image_store(arguments.images, arguments.images_endpoint)
    log = open_case_log(arguments.database, images, arguments.key_file.read_bytes().strip(), is_there=True)
    with contextlib.closing(log):
        actor = Actor("data.cases.labelled", arguments.organisation, "admin")
        return labelled_folder(log, actor, TASKS[arguments.task], arguments.output)


if __name__ == "__main__":
    main()
