"""Labelled cases as a training set: its shape, what it leaves out, and that it never tells of a patient."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data.cases.case import LOCAL_ACTOR, Actor, Biopsy, Case, Lesion, Patient
from data.cases.labelled import LabelledCases, LabelledSet, image_id_of, labelled_cases, labelled_folder, labelled_zip
from data.cases.log import CaseLog, open_case_log
from data.cases.rules import NotAllowed
from data.cases.storage import FolderStore, open_image_store, stored_image
from data.datasets.ham10000 import METADATA_COLUMNS, METADATA_FILE, DatasetError, image_path, load_metadata
from data.datasets.splits import split_by_lesion
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import OTHER, Task
from tests.support.case_log import KEY, made_up_draft, made_up_refusal

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[CaseLog]:
    opened = open_case_log(_url(tmp_path), open_image_store(str(tmp_path / "images")), KEY.encode())
    yield opened
    opened.close()


def _url(folder: Path) -> str:
    return f"sqlite:///{folder / 'cases.db'}"


def save(
    log: CaseLog,
    biopsy: str | None,
    lesion_id: UUID | None = None,
    age: float | None = 47.0,
    actor: Actor = LOCAL_ACTOR,
    colour: tuple[int, int, int] = (180, 120, 100),
    task: Task = SKIN,
) -> Case:
    """A case with an image of one colour in the log."""
    draft = replace(
        made_up_draft(task=task),
        case_id=uuid4(),
        captured_name="smith_anna.jpg",
        patient=Patient("Anna Smith 1970", age, "female"),
        lesion=Lesion(lesion_id or uuid4(), "lower extremity", "left", "=cmd|' /C calc'!A0"),
    )
    saved = log.save(draft, stored_image(np.full((48, 64, 3), colour, dtype=np.uint8)), actor)
    if biopsy is None:
        return saved
    other = "Merkel cell carcinoma" if biopsy == OTHER else ""
    return log.record_biopsy(saved.case_id, Biopsy(biopsy, date(2026, 6, 2), other=other), actor)


def test_folder_has_the_shape_of_ham10000(log: CaseLog, tmp_path: Path) -> None:
    lesion = uuid4()
    first, again = save(log, "mel", lesion, colour=(200, 10, 30)), save(log, "mel", lesion)
    other = save(log, "nv")
    save(log, None)
    folder = tmp_path / "labelled"
    assert labelled_folder(log, LOCAL_ACTOR, SKIN, folder) == LabelledSet(3, 2, 0, 0, 0, 0)
    metadata = load_metadata(folder)
    assert tuple(metadata.columns) == METADATA_COLUMNS
    assert list(metadata["image_id"]) == [image_id_of(case) for case in (first, again, other)]
    assert list(metadata["dx"]) == ["mel", "mel", "nv"] and set(metadata["dx_type"]) == {"histo"}
    assert metadata["lesion_id"].nunique() == 2 and set(metadata["localization"]) == {"lower extremity"}
    split_by_lesion(metadata)  # every lesion has one dx
    path = image_path(folder, image_id_of(first))
    assert path is not None
    with Image.open(path) as image:
        assert image.format == "JPEG" and image.size == (64, 48)
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - (200, 10, 30)).max() <= 3
        assert not image.getexif()


def test_nothing_of_the_patient_gets_in(log: CaseLog, tmp_path: Path) -> None:
    save(log, "mel")
    labelled_folder(log, LOCAL_ACTOR, SKIN, tmp_path / "labelled")
    files = [path for path in (tmp_path / "labelled").rglob("*") if path.is_file()]
    assert len(files) == 2
    for path in files:
        for secret in (b"Smith", b"smith", b"1970", b"cmd", b"local user"):
            assert secret not in path.read_bytes() and secret.decode() not in str(path.relative_to(tmp_path))


@pytest.mark.parametrize(
    ("age", "written"), [(47.0, 45.0), (48.0, 50.0), (0.4, 0.0), (86.0, 85.0), (103.0, 85.0), (None, None)]
)
def test_ages_are_as_coarse_as_ham10000_s(log: CaseLog, tmp_path: Path, age: float, written: float | None) -> None:
    save(log, "nv", age=age)
    labelled_folder(log, LOCAL_ACTOR, SKIN, tmp_path / "labelled")
    (found,) = load_metadata(tmp_path / "labelled")["age"]
    assert found == written if written is not None else pd.isna(found)


def test_lesions_whose_biopsies_differ_are_left_out(log: CaseLog, tmp_path: Path) -> None:
    lesion = uuid4()
    for dx in ("nv", "mel"):
        save(log, dx, lesion)
    clear = save(log, "bcc")
    written = labelled_folder(log, LOCAL_ACTOR, SKIN, tmp_path / "labelled")
    assert written == LabelledSet(1, 1, contradictory=2, refused=0, other=0, unreadable=0)
    assert list(load_metadata(tmp_path / "labelled")["image_id"]) == [image_id_of(clear)]
    assert labelled_cases([]) == LabelledCases((), 0, 0, 0)


def test_biopsies_beyond_the_classes_are_left_out_and_counted(log: CaseLog, tmp_path: Path) -> None:
    lesion = uuid4()
    save(log, OTHER)
    save(log, OTHER, lesion)
    save(log, "mel", lesion)  # the lesion is contradictory: neither of its biopsies is trained on
    with pytest.raises(DatasetError, match="expected cases with a biopsy result among akiec"):
        labelled_zip(log, LOCAL_ACTOR, SKIN)
    clear = save(log, "bcc")
    written = labelled_folder(log, LOCAL_ACTOR, SKIN, tmp_path / "labelled")
    assert written == LabelledSet(1, 1, contradictory=2, refused=0, other=1, unreadable=0)
    assert list(load_metadata(tmp_path / "labelled")["image_id"]) == [image_id_of(clear)]


def test_refused_images_are_left_out_and_counted(log: CaseLog, tmp_path: Path) -> None:
    draft = replace(made_up_draft(), case_id=uuid4(), result=made_up_refusal())
    refused = log.save(draft, stored_image(np.full((48, 64, 3), 9, dtype=np.uint8)), LOCAL_ACTOR)
    log.record_biopsy(refused.case_id, Biopsy("mel", date(2026, 6, 2)), LOCAL_ACTOR)
    clear = save(log, "bcc")
    written = labelled_folder(log, LOCAL_ACTOR, SKIN, tmp_path / "labelled")
    assert written == LabelledSet(1, 1, contradictory=0, refused=1, other=0, unreadable=0)
    assert list(load_metadata(tmp_path / "labelled")["image_id"]) == [image_id_of(clear)]


def test_missing_and_altered_images_are_left_out(log: CaseLog, tmp_path: Path) -> None:
    missing, altered, kept = save(log, "mel"), save(log, "mel"), save(log, "nv")
    (tmp_path / "images" / missing.image_key).unlink()
    (tmp_path / "images" / altered.image_key).write_bytes(b"not the image")
    assert labelled_folder(log, LOCAL_ACTOR, SKIN, tmp_path / "labelled").unreadable == 2
    assert list(load_metadata(tmp_path / "labelled")["image_id"]) == [image_id_of(kept)]
    (tmp_path / "images" / kept.image_key).unlink()
    with pytest.raises(DatasetError, match="none that can be read"):
        labelled_folder(log, LOCAL_ACTOR, SKIN, tmp_path / "again")


def test_zip_holds_the_same_files(log: CaseLog, tmp_path: Path) -> None:
    save(log, "mel")
    save(log, "nv")
    labelled_folder(log, LOCAL_ACTOR, SKIN, tmp_path / "labelled")
    with zipfile.ZipFile(io.BytesIO(labelled_zip(log, LOCAL_ACTOR, SKIN))) as archive:
        archive.extractall(tmp_path / "unpacked")
        assert archive.namelist()[-1] == METADATA_FILE
    pd.testing.assert_frame_equal(load_metadata(tmp_path / "unpacked"), load_metadata(tmp_path / "labelled"))


def test_export_is_recorded_before_a_file_is_written(log: CaseLog, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    case = save(log, "mel")
    labelled_zip(log, LOCAL_ACTOR, SKIN)
    (entry, *_) = log.audit_entries(LOCAL_ACTOR, 10)
    assert entry.action == "export" and entry.case_id == case.case_id
    assert json.loads(entry.details)["what"] == "labelled training set"

    def fail(*arguments: object) -> None:
        raise NotAllowed("the audit trail is closed")

    monkeypatch.setattr(CaseLog, "record_export", fail)
    with pytest.raises(NotAllowed):
        labelled_folder(log, LOCAL_ACTOR, SKIN, tmp_path / "labelled")
    assert not (tmp_path / "labelled").exists()


def test_folder_with_files_is_left_alone(log: CaseLog, tmp_path: Path) -> None:
    save(log, "mel")
    folder = tmp_path / "labelled"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    for taken in (folder, folder / "mine.txt"):
        with pytest.raises(DatasetError, match="expected an empty or new folder"):
            labelled_folder(log, LOCAL_ACTOR, SKIN, taken)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    (folder / "mine.txt").unlink()
    labelled_folder(log, LOCAL_ACTOR, SKIN, folder)


def test_cut_off_export_cannot_be_trained_on(log: CaseLog, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    save(log, "mel")
    save(log, "nv")
    read = FolderStore.get
    reads: list[str] = []

    def fail_at_the_second(store: FolderStore, key: str, sha256: str) -> bytes:
        reads.append(key)
        if len(reads) == 2:
            raise OSError("disk full")
        return read(store, key, sha256)

    monkeypatch.setattr(FolderStore, "get", fail_at_the_second)
    with pytest.raises(OSError, match="disk full"):
        labelled_folder(log, LOCAL_ACTOR, SKIN, tmp_path / "labelled")
    with pytest.raises(DatasetError, match=r"expected HAM10000_metadata\.csv"):
        load_metadata(tmp_path / "labelled")


def test_nothing_labelled_other_organisations_and_researchers(log: CaseLog, tmp_path: Path) -> None:
    save(log, None)
    save(log, "mel", actor=Actor("anna", "Other clinic", "clinician"))
    with pytest.raises(DatasetError, match="expected cases with a biopsy result"):
        labelled_folder(log, LOCAL_ACTOR, SKIN, tmp_path / "labelled")
    assert not (tmp_path / "labelled").exists()
    with pytest.raises(NotAllowed):
        labelled_zip(log, Actor("ren", "Other clinic", "researcher"), SKIN)


def test_set_holds_one_task(log: CaseLog, tmp_path: Path) -> None:
    mole, eye = save(log, "mel"), save(log, "dr3", task=RETINA)
    for task, case, dx, found_by in ((SKIN, mole, "mel", "histo"), (RETINA, eye, "dr3", "unknown")):
        folder = tmp_path / task.key
        assert labelled_folder(log, LOCAL_ACTOR, task, folder) == LabelledSet(1, 1, 0, 0, 0, 0)
        table = pd.read_csv(folder / METADATA_FILE)
        assert table[["image_id", "dx", "dx_type"]].to_numpy().tolist() == [[image_id_of(case), dx, found_by]]


def test_command_writes_a_folder_or_says_why_not(log: CaseLog, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    command = [
        sys.executable,
        "-m",
        "data.cases.labelled",
        "--database",
        _url(tmp_path),
        "--key-file",
        str(tmp_path / "key"),
    ]
    command += ["--images", str(tmp_path / "images"), "--output", str(tmp_path / "labelled")]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *more], cwd=ROOT, check=False, capture_output=True, text=True)

    empty = run()
    assert empty.returncode == 2 and "expected cases with a biopsy result" in empty.stderr
    save(log, "mel")
    written = run()
    assert written.returncode == 0 and "1 images of 1 lesions" in written.stdout
    assert load_metadata(tmp_path / "labelled")["dx"].tolist() == ["mel"]
    none = run("--task", "retina", "--output", str(tmp_path / "eyes"))
    assert none.returncode == 2 and "expected cases with a reference result among dr0" in none.stderr
    again = run()
    assert again.returncode == 2 and "expected an empty or new folder" in again.stderr
    elsewhere = run("--database", f"sqlite:///{tmp_path / 'none.db'}")
    assert elsewhere.returncode == 2 and "expected the file of a case log" in elsewhere.stderr
    assert not (tmp_path / "none.db").exists()
    assert "Traceback" not in empty.stderr + again.stderr + elsewhere.stderr
