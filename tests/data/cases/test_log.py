"""The case log keeps what is saved, gives it back exactly, and to nobody else: on SQLite and on PostgreSQL."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from sqlalchemy import text, update

from data import case_log as case_log_commands
from data.cases import database as case_database
from data.cases.case import (
    LOCAL_ACTOR,
    MAX_TEXT,
    Actor,
    Biopsy,
    Case,
    CaseDraft,
    Decision,
    Lesion,
    ModelResult,
    Patient,
    Read,
    StoredImage,
)
from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseLog, CaseNotFound, open_case_log
from data.cases.queries import MAX_SEARCH, ORDERS, CaseQuery
from data.cases.rules import NotAllowed
from data.cases.storage import (
    ImageAltered,
    ImageMissing,
    ImageStore,
    StorageUnavailable,
    open_image_store,
    stored_image,
)
from data.cases.tables import CaseRow, CaseUnreadable, reference_hash
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import OTHER
from tests.support.case_log import made_up_refusal
from tests.support.servers.postgres_server import new_database

pytest_plugins = ("tests.support.servers.postgres_server",)

KEY = b"0123456789abcdef0123456789abcdef"
ANNA = Actor("anna@north.org", "North", "clinician")
ADMIN = Actor("root@north.org", "North", "admin")
STRANGER = Actor("sven@south.org", "South", "admin")
RESEARCHER = Actor("rita@north.org", "North", "researcher")
IMAGE = stored_image(np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3))
# Doubles whose decimal form is long: they must come back to the last bit.
RESULT = ModelResult(
    task=SKIN,
    model_name="skin",
    model_version="2.0",
    artifact_sha256="ab" * 32,
    preprocessing_version="1",
    probabilities=(0.1 + 0.2, 1 / 7, 1e-300, 0.0, 2 / 3, 1.0, math.nextafter(0.5, 1)),
    population="nobody",
    prediction="nv",
    p_positive=1 / 3,
    conformal_set=("nv", "mel"),
    conformal_level=0.9,
    member_p_positive=(1 / 9, 1 / 11),
    quality="ok",
    ood_score=math.nan,
    operating_point="sensitivity_95",
    threshold=0.25,
    sensitivity=0.95,
    specificity=math.nan,
    heatmap_method="Grad-CAM",
    evidence=bytes(range(256)),
    runtime_ms=5.5,
)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def log(database_url: str, images: Path) -> Iterator[CaseLog]:
    log = open_case_log(database_url, open_image_store(str(images)), KEY)
    yield log
    log.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """For what does not depend on the database."""
    return f"sqlite:///{tmp_path / 'cases.db'}"


def draft_with(result: dict[str, Any] | None = None, **changes: Any) -> CaseDraft:
    draft = CaseDraft(
        case_id=uuid4(),
        captured_name="IMG_1.jpg",
        patient=Patient("Müller 12", 50.5, "female"),
        lesion=Lesion(uuid4(), "back", "left", "grew since May"),
        result=replace(RESULT, **(result or {})),
        own_read=Read("mel", "sure", "biopsy"),
        decision=Decision("nv", "follow-up", "regular network"),
    )
    return replace(draft, **changes)


def save(log: CaseLog, actor: Actor = ANNA, result: dict[str, Any] | None = None, **changes: Any) -> Case:
    return log.save(draft_with(result, **changes), IMAGE, actor)


def actions(log: CaseLog) -> list[str]:
    return [entry.action for entry in reversed(log.audit_entries(ADMIN, 1000))]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def rows(log: CaseLog) -> int:
    with log._database.reading() as session:
        return int(session.scalar(text("SELECT count(*) FROM cases")))  # type: ignore[arg-type]


# --- Saving and reading back -----------------------------------------------------------------------------------------


def test_saved_case_comes_back_as_it_was(log: CaseLog, database_url: str, images: Path) -> None:
    draft, before = draft_with(), datetime.now(UTC)
    saved = log.save(draft, IMAGE, ANNA)
    other = open_case_log(database_url, open_image_store(str(images)), KEY)
    case = other.case(draft.case_id, ANNA)
    other.close()
    assert case == saved
    assert before <= case.saved_at <= datetime.now(UTC) and case.saved_at.utcoffset() == timedelta(0)
    assert (case.saved_by, case.organisation, case.captured_name) == ("anna@north.org", "North", "IMG_1.jpg")
    assert (case.patient, case.lesion, case.own_read) == (draft.patient, draft.lesion, draft.own_read)
    assert (case.decision, case.biopsy) == (draft.decision, None)
    assert (case.image_sha256, case.image_width, case.image_height) == (IMAGE.sha256, 9, 8)
    assert case.result.probabilities == RESULT.probabilities
    assert case.result.member_p_positive == RESULT.member_p_positive
    assert math.isnan(case.result.ood_score) and math.isnan(case.result.specificity)
    known = replace(RESULT, ood_score=0.0, specificity=0.0)
    assert replace(case.result, ood_score=0.0, specificity=0.0) == known
    assert log.image(case, ANNA) == IMAGE.content


def test_what_is_not_known_stays_unknown(log: CaseLog) -> None:
    result = {"conformal_set": (), "member_p_positive": ()}
    case = save(log, result=result, patient=Patient(), lesion=Lesion(uuid4()), own_read=None)
    case = log.case(case.case_id, ANNA)
    assert case.patient == Patient("", None, "unknown")
    assert case.own_read is None and case.biopsy is None
    assert case.result.conformal_set == () and case.result.member_p_positive == ()


@pytest.mark.parametrize("words", ["Ödem 🔬 \u202eabc", "x'; DROP TABLE cases; --", "100 % _ / \\", "=1+1\n\t<b>"])
def test_any_text_is_kept_and_found(log: CaseLog, words: str) -> None:
    case = save(log, patient=Patient(words), lesion=replace(draft_with().lesion, note=words))
    save(log)
    assert log.case(case.case_id, ANNA).lesion.note == words
    assert [one.case_id for one in log.find(CaseQuery(text=words), ANNA)] == [case.case_id]
    found = log.find(CaseQuery(patient_reference=words), ANNA)
    assert [one.patient_reference for one in found] == [words]
    assert log.find(CaseQuery(saved_by=words, site=words, dx=words, prediction=words), ANNA) == []


@pytest.mark.parametrize("text", [("a " * MAX_SEARCH)[:MAX_SEARCH], "%" * MAX_SEARCH, "\U0001f52c" * MAX_SEARCH])
def test_longest_searches_are_answered(log: CaseLog, text: str) -> None:
    """Conditions of many words are nested, and a pattern of one long word is longer once its signs are escaped."""
    case = save(log, lesion=replace(draft_with().lesion, note=text))
    save(log, lesion=replace(draft_with().lesion, note="b"))
    assert [one.case_id for one in log.find(CaseQuery(text=text), ANNA)] == [case.case_id]


def test_a_longer_search_is_refused_before_the_database_is_asked() -> None:
    with pytest.raises(ValueError, match="at most 500 characters, received 6000"):
        CaseQuery(text="a " * 3000)


@pytest.mark.parametrize(
    "changes",
    [
        {"lesion": Lesion(uuid4(), note="x" * (MAX_TEXT + 1))},
        {"lesion": Lesion(uuid4(), note="NUL \0")},
        {"lesion": Lesion(uuid4(), note="half \ud83d")},
        {"lesion": Lesion(uuid4(), site="elbow")},
        {"patient": Patient("x" * 101)},
        {"patient": Patient(age=121.0)},
        {"patient": Patient(age=math.nan)},
        {"decision": Decision("xyz", "biopsy")},
        {"own_read": Read("nv", "certain", "biopsy")},
        {"result": {"probabilities": (1.0,)}},
        {"result": {"probabilities": (math.nan,) * 7}},
        {"result": {"p_positive": 1.5}},
        {"result": {"member_p_positive": (math.inf,)}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_cannot_be_kept_is_refused_before_anything_is_stored(
    sqlite_url: str, images: Path, changes: dict[str, Any]
) -> None:
    log = open_case_log(sqlite_url, open_image_store(str(images)), KEY)
    with pytest.raises(ValueError, match="expected"):
        save(log, **changes)
    assert rows(log) == 0 and files(images) == [] and actions(log) == []
    log.close()


def test_odd_file_name_does_not_keep_a_case_from_being_saved(log: CaseLog) -> None:
    case = save(log, captured_name="a\0b\ud83d" + "x" * 1000)
    name = log.case(case.case_id, ANNA).captured_name
    assert name.startswith("a?b?x") and len(name) == 255


def test_saving_twice_saves_once(log: CaseLog, images: Path) -> None:
    draft = draft_with()
    first = log.save(draft, IMAGE, ANNA)
    second = log.save(replace(draft, decision=Decision("mel", "excision")), IMAGE, ANNA)
    assert second == first
    assert rows(log) == 1 and len(files(images)) == 1 and actions(log) == ["save"]


def test_saving_at_the_same_time_saves_once_and_leaves_one_image_after_a_sweep(log: CaseLog, images: Path) -> None:
    draft, gate = draft_with(), threading.Barrier(4)

    def save_together(_: int) -> Case:
        gate.wait()
        return log.save(draft, IMAGE, ANNA)

    with ThreadPoolExecutor(4) as pool:
        cases = list(pool.map(save_together, range(4)))
    assert all(case == cases[0] for case in cases)
    assert rows(log) == 1 and actions(log) == ["save"]
    log.sweep(timedelta(0))
    assert [path.name for path in files(images)] == [cases[0].image_key]


def test_many_threads_save_and_the_chain_holds(log: CaseLog) -> None:
    with ThreadPoolExecutor(8) as pool:
        cases = list(pool.map(lambda _: save(log), range(40)))
    report = log.verify(ADMIN)
    assert report.fault is None and report.entries == 40
    assert {case.case_id for case in log.cases(CaseQuery(), ANNA)} == {case.case_id for case in cases}


def test_row_and_audit_entry_stand_or_fall_together(log: CaseLog) -> None:
    kept = save(log)
    draft = draft_with()
    with log._database.writing() as session:
        # The next entry's number is taken, so that writing it fails after the case was inserted.
        session.execute(
            text(
                "INSERT INTO audit_entries SELECT 2, at, actor, organisation, role, action, case_id, details, "
                "previous_hash, hash FROM audit_entries"
            )
        )
    with pytest.raises(CaseLogUnavailable):
        log.save(draft, IMAGE, ANNA)
    with pytest.raises(CaseLogUnavailable):
        log.decide(kept.case_id, Decision("mel", "excision"), ANNA)
    with pytest.raises(CaseLogUnavailable):
        log.delete(kept.case_id, ANNA)
    assert list(log.cases(CaseQuery(), ANNA)) == [kept]
    assert log.image(kept, ANNA) == IMAGE.content


def test_image_that_cannot_be_stored_leaves_no_row(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file where the folder should be")
    log = open_case_log(sqlite_url, open_image_store(str(tmp_path / "images")), KEY)
    with pytest.raises(StorageUnavailable):
        save(log)
    assert rows(log) == 0 and actions(log) == []
    log.close()


# --- Changing and deleting -------------------------------------------------------------------------------------------


def test_decision_biopsy_and_facts_change_and_nothing_else(log: CaseLog) -> None:
    case = save(log)
    decided = log.decide(case.case_id, Decision("mel", "excision", "second look"), ANNA)
    assert decided == replace(case, decision=Decision("mel", "excision", "second look"))
    biopsy = Biopsy("mel", date(2026, 2, 28), "Breslow 0.4 mm")
    assert log.record_biopsy(case.case_id, biopsy, ANNA) == replace(decided, biopsy=biopsy)
    assert log.record_biopsy(case.case_id, None, ANNA) == decided
    patient, lesion = Patient("other 7", None, "male"), Lesion(uuid4(), "ear", "right", "scar")
    corrected = log.correct(case.case_id, patient, lesion, ANNA)
    assert corrected == replace(decided, patient=patient, lesion=lesion)
    assert log.case(case.case_id, ANNA) == corrected
    assert log.count(CaseQuery(patient_reference="Müller 12"), ANNA) == 0
    assert log.count(CaseQuery(patient_reference="OTHER 7", text="scar"), ANNA) == 1
    assert log.count(CaseQuery(text="grew"), ANNA) == 0


def test_changes_are_checked(log: CaseLog) -> None:
    case = save(log)
    with pytest.raises(ValueError, match="a dx code"):
        log.decide(case.case_id, Decision("xyz", "biopsy"), ANNA)
    with pytest.raises(ValueError, match="at most 2000"):
        log.record_biopsy(case.case_id, Biopsy("mel", date(2026, 1, 1), "x" * 2001), ANNA)
    with pytest.raises(ValueError, match="a side"):
        log.correct(case.case_id, case.patient, replace(case.lesion, side="top"), ANNA)
    with pytest.raises(ValueError, match="NUL"):
        log.correct(case.case_id, Patient("a\0"), case.lesion, ANNA)
    assert list(log.cases(CaseQuery(), ANNA)) == [case] and actions(log) == ["save"]


def test_deleting_removes_row_and_image(log: CaseLog, images: Path) -> None:
    case, other = save(log), save(log)
    log.delete(case.case_id, ANNA)
    assert list(log.cases(CaseQuery(), ANNA)) == [other]
    assert [path.name for path in files(images)] == [other.image_key]
    with pytest.raises(CaseNotFound):
        log.case(case.case_id, ANNA)
    with pytest.raises(ImageMissing):
        log.image(case, ANNA)
    assert actions(log) == ["save", "save", "delete"] and log.verify(ADMIN).fault is None


def test_deleted_image_that_the_store_cannot_remove_yet_is_swept(
    sqlite_url: str, images: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn:
        def __init__(self) -> None:
            self.store = open_image_store(str(images))
            self.is_away = True

        def put(self, key: str, image: StoredImage) -> None:
            self.store.put(key, image)

        def keys(self, older_than: datetime) -> Iterator[str]:
            return self.store.keys(older_than)

        def delete(self, key: str) -> None:
            if self.is_away:
                raise StorageUnavailable("away")
            self.store.delete(key)

        @property
        def quarantine(self) -> ImageStore:
            return self.store.quarantine

        def move(self, key: str, to: ImageStore) -> None:
            self.store.move(key, to)

    store: Any = Stubborn()
    log = open_case_log(sqlite_url, store, KEY)
    case = save(log)
    log.delete(case.case_id, ANNA)
    assert rows(log) == 0 and len(files(images)) == 1
    assert "next sweep" in caplog.text and str(case.case_id) not in caplog.text
    store.is_away = False
    assert log.sweep(timedelta(0)).set_aside == 1 and files(images) == []
    log.close()


def test_altered_image_is_not_given(log: CaseLog, images: Path) -> None:
    case = save(log)
    (images / case.image_key).write_bytes(b"another")
    with pytest.raises(ImageAltered):
        log.image(case, ANNA)


# --- Finding ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def ward(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[CaseLog, list[UUID]]]:
    """A log with four cases, saved one day after the other, and their ids; tests only read it."""
    folder = tmp_path_factory.mktemp("ward")
    with contextlib.ExitStack() as stack:
        url = f"sqlite:///{folder / 'cases.db'}"
        if request.param == "postgresql":
            url = stack.enter_context(new_database(request.getfixturevalue("postgres_socket")))
        log = open_case_log(url, open_image_store(str(folder / "images")), KEY)
        stack.callback(log.close)
        yield log, fill_ward(log)


def fill_ward(log: CaseLog) -> list[UUID]:
    lesion = Lesion(uuid4(), "back", "left", "Grew since May")
    cases = [
        save(log, patient=Patient(" Abel ", 70.0), lesion=lesion, captured_name="IMG_20.jpg"),
        save(
            log,
            Actor("bert@north.org", "North", "clinician"),
            {"prediction": "mel", "p_positive": 0.9},
            patient=Patient("abel", None),
            lesion=replace(lesion, note="no change"),
            decision=Decision("mel", "excision"),
        ),
        save(
            log,
            result={"prediction": "bcc", "p_positive": 0.25},
            patient=Patient("Čapek", 20.0),
            lesion=Lesion(uuid4(), "ear", "right", "ÜBER Nacht"),
            decision=Decision("bkl", "no follow-up"),
        ),
        save(log, result={"p_positive": 0.1}, patient=Patient("", 30.0), lesion=Lesion(uuid4(), "ear"), own_read=None),
    ]
    log.record_biopsy(cases[1].case_id, Biopsy("nv", date(2026, 3, 3)), ANNA)
    log.record_biopsy(cases[2].case_id, Biopsy("bcc", date(2026, 3, 3)), ANNA)
    save(log, STRANGER, patient=Patient("abel"), lesion=replace(lesion, note="Grew"))
    with log._database.writing() as session:
        for day, case in enumerate(cases, start=1):
            saved_at = datetime(2026, 3, day, 23, 59, 59, 999_999, UTC)
            session.execute(update(CaseRow).where(CaseRow.case_id == case.case_id).values(saved_at=saved_at))
    return [case.case_id for case in cases]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [3, 2, 1, 0]),
        ({"text": "grew"}, [0]),
        ({"text": "may GREW"}, [0]),
        ({"text": "img_20"}, [0]),
        ({"text": "20 may"}, [0]),
        ({"text": "may change"}, []),
        ({"text": "über"}, [2]),
        ({"text": "%"}, []),
        ({"patient_reference": "ABEL  "}, [1, 0]),
        ({"patient_reference": "abe"}, []),
        ({"patient_reference": "C\u030cAPEK"}, [2]),
        ({"patient_reference": " "}, [3, 2, 1, 0]),
        ({"text": "a-bel"}, [1, 0]),
        ({"text": "abe"}, []),
        ({"text": "-"}, []),
        ({"dx": "nv"}, [3, 0]),
        ({"prediction": "bcc"}, [2]),
        ({"site": "ear"}, [3, 2]),
        ({"is_flagged": True}, [2, 1, 0]),
        ({"is_flagged": False}, [3]),
        ({"has_biopsy": True}, [2, 1]),
        ({"has_biopsy": False}, [3, 0]),
        ({"plans": ("no follow-up",)}, [2]),
        ({"plans": ("no follow-up", "biopsy", "excision")}, [2, 1]),
        # The lesion of the first was seen again; that of the last was not.
        ({"not_seen_since": datetime(2026, 3, 5, tzinfo=UTC)}, [3]),
        ({"not_seen_since": datetime(2026, 3, 4, tzinfo=UTC)}, []),
        ({"differs_from_model": True}, [2]),
        ({"differs_from_model": False}, [3, 1, 0]),
        ({"saved_by": "bert@north.org"}, [1]),
        ({"saved_from": datetime(2026, 3, 2, tzinfo=UTC)}, [3, 2, 1]),
        ({"saved_before": datetime(2026, 3, 3, tzinfo=UTC)}, [1, 0]),
        ({"saved_from": datetime(2026, 3, 3, tzinfo=UTC), "saved_before": datetime(2026, 3, 4, tzinfo=UTC)}, [2]),
        ({"site": "ear", "dx": "nv", "has_biopsy": False}, [3]),
        ({"limit": 2}, [3, 2]),
        ({"limit": 2, "offset": 1}, [2, 1]),
        ({"offset": 3}, [0]),
        ({"limit": 0}, []),
        ({"is_descending": False}, [0, 1, 2, 3]),
        ({"order_by": "age", "is_descending": False}, [2, 3, 0, 1]),
        ({"order_by": "age"}, [0, 3, 2, 1]),
        ({"order_by": "dx", "is_descending": False}, [2, 1, 3, 0]),
        ({"order_by": "prediction"}, [3, 0, 1, 2]),
        ({"order_by": "p_positive", "is_descending": False}, [3, 2, 0, 1]),
        ({"order_by": "site"}, [3, 2, 1, 0]),
        ({"order_by": "saved_by"}, [1, 3, 2, 0]),
    ],
    ids=str,
)
def test_query_finds(ward: tuple[CaseLog, list[UUID]], query: dict[str, Any], expected: list[int]) -> None:
    log, case_ids = ward
    found = [case_ids.index(summary.case_id) for summary in log.find(CaseQuery(**query), ANNA)]
    assert found == expected
    assert [case_ids.index(case.case_id) for case in log.cases(CaseQuery(**query), ANNA)] == expected
    unlimited = {name: value for name, value in query.items() if name not in ("limit", "offset")}
    assert log.count(CaseQuery(**query), ANNA) == len(log.find(CaseQuery(**unlimited), ANNA))


def test_every_order_is_taken(ward: tuple[CaseLog, list[UUID]]) -> None:
    log, case_ids = ward
    for order in ORDERS:
        assert {one.case_id for one in log.find(CaseQuery(order_by=order), ANNA)} == set(case_ids)


def test_summary_says_what_the_case_says(log: CaseLog) -> None:
    case = log.record_biopsy(save(log).case_id, Biopsy("bcc", date(2026, 1, 1)), ANNA)
    (summary,) = log.find(CaseQuery(), ANNA)
    assert (summary.case_id, summary.saved_at, summary.saved_by) == (case.case_id, case.saved_at, "anna@north.org")
    assert (summary.patient_reference, summary.age, summary.sex) == ("Müller 12", 50.5, "female")
    assert (summary.lesion_id, summary.site, summary.side) == (case.lesion.lesion_id, "back", "left")
    assert (summary.dx, summary.plan, summary.own_dx, summary.biopsy_dx) == ("nv", "follow-up", "mel", "bcc")
    assert (summary.prediction, summary.p_positive, summary.is_flagged) == ("nv", 1 / 3, True)
    assert (summary.model_version, summary.artifact_sha256, summary.image_key) == ("2.0", "ab" * 32, case.image_key)


def test_timeline_shows_one_lesion_oldest_first(ward: tuple[CaseLog, list[UUID]]) -> None:
    log, case_ids = ward
    lesion_id = log.find(CaseQuery(saved_by="bert@north.org"), ANNA)[0].lesion_id
    assert [summary.case_id for summary in log.timeline(lesion_id, ANNA)] == case_ids[:2]


def test_more_cases_than_are_read_at_once_come_in_order(log: CaseLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.cases.log._AT_ONCE", 2)
    case_ids = [save(log).case_id for _ in range(5)]
    given = log.cases(CaseQuery(is_descending=False), ANNA)
    first = next(given)
    log.delete(case_ids[3], ANNA)
    assert [first.case_id, *(case.case_id for case in given)] == [*case_ids[:3], case_ids[4]]


@pytest.mark.parametrize("wrong", [{"order_by": "evidence"}, {"limit": -1}, {"offset": -1}])
def test_query_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        CaseQuery(**wrong)


@pytest.mark.parametrize("field", ["text", "patient_reference", "saved_by"])
def test_query_that_no_database_can_answer_is_refused(log: CaseLog, field: str) -> None:
    for ask in (log.find, log.count, log.cases):
        with pytest.raises(ValueError, match="whole characters"):
            ask(CaseQuery(**{field: "a\0b"}), ANNA)


def test_reference_is_searched_by_a_hash_that_needs_the_key(log: CaseLog) -> None:
    save(log)
    with log._database.reading() as session:
        stored = session.scalar(text("SELECT reference_hash FROM cases"))
    assert stored == reference_hash(" MÜLLER 12", log._keys.reference)
    assert stored != reference_hash(" MÜLLER 12", b"another key")


def test_refused_image_is_kept_without_any_answer(log: CaseLog) -> None:
    refusal = made_up_refusal()
    case = log.save(replace(draft_with(), result=refusal), IMAGE, ANNA)
    answered = save(log, result={"p_positive": 0.1})
    kept = log.case(case.case_id, ANNA)
    assert kept == case and kept.refusal == kept.result == refusal and kept.agrees_with_model is None
    with pytest.raises(ValueError, match="refused"):
        kept.answered  # noqa: B018
    with log._database.reading() as session:
        row = session.get(CaseRow, case.case_id)
        assert row is not None and row.refusal == "out_of_distribution"
        of_an_answer = (
            "population", "prediction", "p_positive", "probabilities", "conformal_set", "conformal_level",
            "member_p_positive", "operating_point", "threshold", "heatmap_method", "evidence",
        )  # fmt: skip
        assert {name: getattr(row, name) for name in of_an_answer} == dict.fromkeys(of_an_answer)
    (line,) = log.find(CaseQuery(is_refused=True), ANNA)
    assert (line.case_id, line.refusal) == (case.case_id, "out_of_distribution")
    assert (line.prediction, line.p_positive, line.is_flagged) == (None, None, None)
    for asked in ({"is_refused": False}, {"is_flagged": False}, {"differs_from_model": False}):
        assert [one.case_id for one in log.find(CaseQuery(**asked), ANNA)] == [answered.case_id]
    assert log.count(CaseQuery(is_flagged=True), ANNA) == log.count(CaseQuery(differs_from_model=True), ANNA) == 0
    for order in ("p_positive", "prediction"):
        for is_descending in (True, False):
            query = CaseQuery(order_by=order, is_descending=is_descending)
            assert [one.case_id for one in log.find(query, ANNA)] == [answered.case_id, case.case_id]
    decided = log.decide(case.case_id, Decision("mel", "excision"), ANNA)
    assert log.record_biopsy(case.case_id, Biopsy("mel", date(2026, 3, 3)), ANNA).refusal == decided.refusal == refusal
    assert log.image(kept, ANNA) == IMAGE.content


@pytest.mark.parametrize("reason", ["", "too_dark"])
def test_refusal_needs_its_reason(log: CaseLog, reason: str) -> None:
    with pytest.raises(ValueError, match="expected a reason among the remarks"):
        log.save(replace(draft_with(), result=replace(made_up_refusal(), reason=reason)), IMAGE, ANNA)


def test_another_diagnosis_is_kept_found_and_audited(log: CaseLog) -> None:
    own = Read(OTHER, "unsure", "biopsy", other="Spitz naevus")
    case = save(log, own_read=own, decision=Decision(OTHER, "excision", other="Squamous cell carcinoma"))
    log.record_biopsy(case.case_id, Biopsy(OTHER, date(2026, 3, 3), other="Merkel cell carcinoma"), ANNA)
    save(log)
    kept = log.case(case.case_id, ANNA)
    assert kept.own_read == own and kept.decision.other == "Squamous cell carcinoma"
    assert kept.biopsy == Biopsy(OTHER, date(2026, 3, 3), other="Merkel cell carcinoma")
    queries = [CaseQuery(dx=OTHER), *(CaseQuery(text=text) for text in ("SPITZ", "squamous cell", "merkel"))]
    for query in queries:
        (found,) = log.find(query, ANNA)
        assert found.case_id == case.case_id
    assert (found.dx, found.other, found.own_other, found.biopsy_other) == (
        OTHER, "Squamous cell carcinoma", "Spitz naevus", "Merkel cell carcinoma"
    )  # fmt: skip
    assert log.count(CaseQuery(differs_from_model=False), ANNA) == 1  # it never agrees
    log.decide(case.case_id, Decision("nv", "follow-up"), ANNA)
    assert log.count(CaseQuery(text="squamous"), ANNA) == 0
    (change,) = [entry for entry in log.audit_entries(ADMIN, 1)]
    assert change.details == '{"columns": ["dx", "other", "plan"]}'


def test_a_researcher_reads_that_it_is_another_diagnosis_and_not_what_was_typed(log: CaseLog) -> None:
    case = save(
        log, own_read=Read(OTHER, "sure", "biopsy", other="of Anna"), decision=Decision(OTHER, "biopsy", other="X")
    )
    log.record_biopsy(case.case_id, Biopsy(OTHER, date(2026, 3, 3), other="of Anna"), ANNA)
    (read,) = log.cases(CaseQuery(), replace(ANNA, role="researcher"))
    assert read.own_read == Read(OTHER, "sure", "biopsy") and read.decision == Decision(OTHER, "biopsy")
    assert read.biopsy == Biopsy(OTHER, date(2026, 3, 3))


@pytest.mark.parametrize(
    "typed", ["MRN 1003", "mrn-1003", "MRN1003", " mrn\u00a01003 ", "Mrn\u20131003", "mrn\u22121003"]
)
def test_reference_is_found_however_it_is_typed(log: CaseLog, typed: str) -> None:
    case = save(log, patient=Patient("MRN-1003"))
    save(log, patient=Patient("MRN-100"))
    save(log, patient=Patient("-"))
    for query in (CaseQuery(text=typed), CaseQuery(patient_reference=typed)):
        assert [one.case_id for one in log.find(query, ANNA)] == [case.case_id]


def test_reference_of_hyphens_alone_is_itself(log: CaseLog) -> None:
    case = save(log, patient=Patient(" - "))
    save(log, patient=Patient(""))
    assert [one.case_id for one in log.find(CaseQuery(patient_reference="-"), ANNA)] == [case.case_id]


# --- Tasks -----------------------------------------------------------------------------------------------------------

EYE = {"task": RETINA, "probabilities": (0.1, 0.2, 0.3, 0.15, 0.25), "prediction": "dr2", "conformal_set": ("dr2",)}
EYE_READS = {"own_read": Read("dr1", "sure", "referral"), "decision": Decision("dr4", "referral")}


def test_cases_of_two_tasks_stand_in_one_log(log: CaseLog) -> None:
    mole, eye = save(log), save(log, result=EYE, **EYE_READS)
    assert (
        log.case(eye.case_id, ANNA) == eye and eye.task is RETINA and eye.result.probabilities == EYE["probabilities"]
    )
    assert log.tasks(ANNA) == ["retina", "skin"] and log.tasks(STRANGER) == []
    for task, case in (("skin", mole), ("retina", eye)):
        assert [one.case_id for one in log.cases(CaseQuery(task=task), ANNA)] == [case.case_id]
        assert [(one.case_id, one.task) for one in log.find(CaseQuery(task=task), ANNA)] == [(case.case_id, task)]
        assert log.count(CaseQuery(task=task), ANNA) == 1
    assert log.count(CaseQuery(), ANNA) == 2


def test_codes_of_another_task_are_refused(log: CaseLog) -> None:
    eye = save(log, result=EYE, **EYE_READS)
    with pytest.raises(ValueError, match="a dx code"):
        save(log, result=EYE)
    with pytest.raises(ValueError, match="a dx code"):
        log.decide(eye.case_id, Decision("nv", "referral"), ANNA)
    with pytest.raises(ValueError, match="a dx code"):
        log.record_biopsy(eye.case_id, Biopsy("mel", date(2026, 1, 1)), ANNA)
    with pytest.raises(ValueError, match="5 probabilities"):
        save(log, result=EYE | {"probabilities": RESULT.probabilities}, **EYE_READS)
    assert list(log.cases(CaseQuery(), ANNA)) == [eye]
    assert log.decide(eye.case_id, Decision("dr0", "no follow-up"), ANNA).decision.dx == "dr0"


def test_case_of_an_unknown_task_is_listed_and_says_why_it_cannot_be_read(log: CaseLog) -> None:
    strange, mole = save(log), save(log)
    with log._database.writing() as session:
        session.execute(update(CaseRow).where(CaseRow.case_id == strange.case_id).values(task="foot"))
    assert {(one.case_id, one.task) for one in log.find(CaseQuery(), ANNA)} == {
        (strange.case_id, "foot"), (mole.case_id, "skin")
    }  # fmt: skip
    assert log.tasks(ANNA) == ["foot", "skin"] and list(log.cases(CaseQuery(task="skin"), ANNA)) == [mole]
    for read in (
        lambda: log.case(strange.case_id, ANNA),
        lambda: log.decide(strange.case_id, strange.decision, ANNA),
        lambda: list(log.cases(CaseQuery(), ANNA)),
    ):
        with pytest.raises(CaseUnreadable, match=r"known task \(skin, retina\), received one of 'foot'"):
            read()
    log.delete(strange.case_id, ANNA)
    assert log.tasks(ANNA) == ["skin"] and log.verify(ADMIN).fault is None


def test_case_with_other_classes_than_its_task_has_today_is_not_misread(log: CaseLog) -> None:
    case = save(log)
    renamed = {("scc" if code == "akiec" else code): 0.1 for code in SKIN.codes}
    with log._database.writing() as session:
        session.execute(update(CaseRow).values(probabilities=renamed))
    with pytest.raises(CaseUnreadable, match="received those of scc, bcc"):
        log.case(case.case_id, ANNA)


def test_order_of_the_classes_is_the_tasks_whatever_the_row_says(log: CaseLog) -> None:
    case = save(log)
    backwards = dict(reversed(list(zip(SKIN.codes, RESULT.probabilities, strict=True))))
    with log._database.writing() as session:
        session.execute(update(CaseRow).values(probabilities=backwards))
    assert log.case(case.case_id, ANNA).result.probabilities == RESULT.probabilities


# --- Who may ---------------------------------------------------------------------------------------------------------


def test_other_organisation_sees_and_touches_nothing(log: CaseLog) -> None:
    case = save(log)
    for call in (
        lambda: log.case(case.case_id, STRANGER),
        lambda: log.image(case, STRANGER),
        lambda: log.decide(case.case_id, case.decision, STRANGER),
        lambda: log.record_biopsy(case.case_id, None, STRANGER),
        lambda: log.correct(case.case_id, case.patient, case.lesion, STRANGER),
        lambda: log.delete(case.case_id, STRANGER),
    ):
        with pytest.raises(CaseNotFound) as theirs:
            call()
        with pytest.raises(CaseNotFound) as nobodys:
            log.case(uuid4(), STRANGER)
        assert str(theirs.value) == str(nobodys.value)
    assert log.find(CaseQuery(), STRANGER) == [] and log.count(CaseQuery(), STRANGER) == 0
    assert list(log.cases(CaseQuery(), STRANGER)) == []
    assert log.timeline(case.lesion.lesion_id, STRANGER) == []
    assert log.audit_entries(STRANGER, 10) == []
    assert actions(log) == ["save"]


def test_another_organisations_id_cannot_be_saved_over(log: CaseLog) -> None:
    case = save(log)
    with pytest.raises(NotAllowed) as error:
        log.save(replace(draft_with(), case_id=case.case_id), IMAGE, STRANGER)
    assert "North" not in str(error.value)
    assert list(log.cases(CaseQuery(), ANNA)) == [case] and log.image(case, ANNA) == IMAGE.content


@pytest.mark.parametrize("actor", [RESEARCHER, replace(ANNA, role="visitor")], ids=lambda actor: actor.role)
def test_roles_that_may_not_see_patients(log: CaseLog, actor: Actor) -> None:
    case = save(log)
    for call in (
        lambda: save(log, actor),
        lambda: log.case(case.case_id, actor),
        lambda: log.image(case, actor),
        lambda: log.find(CaseQuery(), actor),
        lambda: log.count(CaseQuery(), actor),
        lambda: log.timeline(case.lesion.lesion_id, actor),
        lambda: log.tasks(actor),
        lambda: log.decide(case.case_id, case.decision, actor),
        lambda: log.record_biopsy(case.case_id, None, actor),
        lambda: log.correct(case.case_id, case.patient, case.lesion, actor),
        lambda: log.delete(case.case_id, actor),
        lambda: log.audit_entries(actor, 10),
        lambda: log.verify(actor),
        lambda: log.cases(CaseQuery(text="grew"), actor),
        lambda: log.cases(CaseQuery(patient_reference="Müller 12"), actor),
        lambda: log.cases(CaseQuery(saved_by=ANNA.name), actor),
        lambda: log.cases(CaseQuery(order_by="patient_reference"), actor),
    ):
        with pytest.raises(NotAllowed):
            call()
    assert rows(log) == 1 and actions(log) == ["save"]


def test_only_an_admin_reads_the_audit_trail(log: CaseLog) -> None:
    for call in (lambda: log.audit_entries(ANNA, 10), lambda: log.verify(ANNA)):
        with pytest.raises(NotAllowed):
            call()


def test_researcher_gets_cases_without_names_and_free_text(log: CaseLog) -> None:
    case = log.record_biopsy(save(log).case_id, Biopsy("mel", date(2026, 1, 1), "said by Dr Secret"), ANNA)
    (given,) = log.cases(CaseQuery(has_biopsy=True), RESEARCHER)
    texts = (given.saved_by, given.captured_name, given.patient.reference, given.lesion.note, given.decision.reason)
    assert texts == ("",) * 5
    assert given.biopsy == Biopsy("mel", date(2026, 1, 1))
    assert (given.patient.age, given.lesion.site, given.decision.dx) == (50.5, "back", "nv")
    assert given.result.probabilities == case.result.probabilities
    assert given.case_id == case.case_id and given.lesion.lesion_id == case.lesion.lesion_id


def test_visitor_gets_no_cases(log: CaseLog) -> None:
    with pytest.raises(NotAllowed):
        log.cases(CaseQuery(), replace(ANNA, role="visitor"))


# --- The trail the log leaves ----------------------------------------------------------------------------------------


def test_trail_says_who_did_what_and_nothing_of_the_patient(log: CaseLog) -> None:
    log.record_sign_in(ANNA)
    case = save(log)
    log.case(case.case_id, ANNA)
    log.decide(case.case_id, Decision("mel", "excision", "secret reason"), ANNA)
    log.correct(case.case_id, Patient("secret reference", 51.0), replace(case.lesion, note="secret note"), ANNA)
    log.record_export([case.case_id], "PDF", ANNA)
    log.record_export([case.case_id, uuid4()], "CSV", ADMIN)
    log.delete(case.case_id, ADMIN)
    log.record_sign_out(ANNA)
    entries = log.audit_entries(ADMIN, 100)[::-1]
    assert [(entry.number, entry.action, entry.actor) for entry in entries] == [
        (1, "sign-in", ANNA.name),
        (2, "save", ANNA.name),
        (3, "view", ANNA.name),
        (4, "change", ANNA.name),
        (5, "change", ANNA.name),
        (6, "export", ANNA.name),
        (7, "export", ADMIN.name),
        (8, "delete", ADMIN.name),
        (9, "sign-out", ANNA.name),
    ]
    case_id = case.case_id
    assert [entry.case_id for entry in entries] == [None, *[case_id] * 5, None, case_id, None]
    assert entries[3].details == '{"columns": ["dx", "plan", "reason"]}'
    assert entries[4].details == '{"columns": ["age", "note", "patient_reference", "sex"]}'
    assert '"PDF"' in entries[5].details and str(case.case_id) in entries[6].details
    everything = str(entries)
    for secret in ("secret", "Müller", "IMG_1", "grew", "network", case.image_key):
        assert secret not in everything
    assert [entry.number for entry in log.audit_entries(ADMIN, 2)] == [9, 8]
    assert log.verify(ADMIN).entries == 9


# --- Opening, and a database that does not answer --------------------------------------------------------------------


def test_file_and_folder_are_made_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "cases.db"
    log = open_case_log(f"sqlite:///{path}", open_image_store(str(tmp_path)), KEY)
    save(log)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes["cases.db"] == 0o600 and set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    log.close()


@pytest.mark.parametrize(
    "url", ["", "cases.db", "sqlite://", "sqlite:///:memory:", "mysql://u:hunter2@h/d", "postgresql://u:hunter2@h:x/d"]
)
def test_url_of_another_kind_is_refused_without_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="set DATABASE_URL") as error:
        open_case_log(url, open_image_store(str(tmp_path)), KEY)
    assert "hunter2" not in str(error.value)


def test_both_names_of_postgresql_are_taken(postgres_url: str, tmp_path: Path) -> None:
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        url = postgres_url.replace("postgresql", scheme, 1)
        log = open_case_log(url, open_image_store(str(tmp_path)), KEY)
        save(log)
        log.close()


def test_empty_key_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="CASE_KEY"):
        open_case_log(sqlite_url, open_image_store(str(tmp_path)), b"")


def test_another_key_does_not_open_the_log(log: CaseLog, database_url: str, images: Path) -> None:
    save(log)
    with pytest.raises(CaseLogUnavailable, match="CASE_KEY"):
        open_case_log(database_url, open_image_store(str(images)), b"another")
    assert log.verify(ADMIN).fault is None


def test_database_that_is_away_says_so_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://clinic:hunter2@127.0.0.1:1/cases"
    with pytest.raises(CaseLogUnavailable, match="DATABASE_URL") as error:
        open_case_log(url, open_image_store(str(tmp_path)), KEY)
    assert "hunter2" not in str(error.value) and error.value.__cause__ is None


def test_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "cases.db").write_text("this is no database, and long enough to be taken for one" * 100)
    with pytest.raises(CaseLogUnavailable, match="not a database"):
        open_case_log(f"sqlite:///{tmp_path / 'cases.db'}", open_image_store(str(tmp_path)), KEY)


def test_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CaseLogUnavailable, match="permissions"):
        open_case_log(f"sqlite:///{tmp_path / 'file' / 'cases.db'}", open_image_store(str(tmp_path)), KEY)


def test_log_that_another_holds_too_long_says_so(
    database_url: str, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_database, "_LOCK_SECONDS", 0.1)
    log = open_case_log(database_url, open_image_store(str(images)), KEY)
    with log._database.writing():
        with pytest.raises(CaseLogUnavailable):
            log.record_sign_in(ANNA)
        assert log.find(CaseQuery(), ANNA) == [], "readers do not wait for a writer"
    log.record_sign_in(ANNA)
    log.close()


def test_log_goes_on_after_its_connections_were_cut(postgres_url: str, images: Path) -> None:
    log = open_case_log(postgres_url, open_image_store(str(images)), KEY)
    save(log)
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                      " AND datname = current_database()")  # fmt: skip
    save(log)
    assert log.count(CaseQuery(), ANNA) == 2
    log.close()


def test_error_tells_nothing_of_the_row(log: CaseLog, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with log._database.writing() as session:
        session.execute(text("ALTER TABLE cases RENAME TO gone"))
    with pytest.raises(CaseLogUnavailable) as error:
        save(log)
    assert error.value.__cause__ is None and error.value.__suppress_context__
    for secret in ("Müller", "grew", "IMG_1", ANNA.name):
        assert secret not in str(error.value) and secret not in caplog.text


# --- Command line ----------------------------------------------------------------------------------------------------


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "case_key"
    path.write_bytes(KEY + b"\n")
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["data.cases.log", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        case_log_commands.main()
    return int(ended.value.code or 0)


def test_command_verifies(
    log: CaseLog,
    database_url: str,
    key_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save(log)
    where = ("--database", database_url, "--key-file", key_file)
    assert run(monkeypatch, "verify", *where) == 0
    said = capsys.readouterr().out
    assert "1 entries, whole and in order" in said and "1 cases, as they were saved" in said
    with log._database.writing() as session:
        session.execute(text("UPDATE cases SET dx = 'mel'"))
    assert run(monkeypatch, "verify", *where) == 1
    assert capsys.readouterr().out.startswith("case changed: case ")
    drop = "audit_entries_keep" + ("" if database_url.startswith("sqlite") else " ON audit_entries")
    with log._database.writing() as session:
        session.execute(text(f"DROP TRIGGER {drop}"))
        session.execute(text("UPDATE audit_entries SET actor = 'nobody'"))
    assert run(monkeypatch, "verify", *where) == 1
    assert capsys.readouterr().out.startswith("changed: entry 1 was changed after it was written")


def test_command_lists_the_trail(
    sqlite_url: str, images: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = open_case_log(sqlite_url, open_image_store(str(images)), KEY)
    for actor in (replace(LOCAL_ACTOR, name="\x1b[2Jeve"), LOCAL_ACTOR, STRANGER):
        log.record_sign_in(actor)
    log.close()
    where = ("--database", sqlite_url, "--key-file", key_file)
    assert run(monkeypatch, "list-audit", *where) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["2", "1"] and "?[2Jeve" in lines[1]
    assert run(monkeypatch, "list-audit", *where, "--organisation", "South", "--limit", 5) == 0
    assert STRANGER.name in capsys.readouterr().out


def test_command_sweeps(
    sqlite_url: str, images: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = open_case_log(sqlite_url, open_image_store(str(images)), KEY)
    save(log)
    for _ in range(51):
        key = log._new_image_key()
        open_image_store(str(images)).put(key, IMAGE)
        os.utime(images / key, (0, 0))
    log.close()
    where = ("--database", sqlite_url, "--key-file", key_file, "--images", images)
    assert run(monkeypatch, "sweep", *where) == 2
    assert "expected at most 50 images that no case names, received 51" in capsys.readouterr().err
    assert run(monkeypatch, "sweep", *where, "--any-number") == 0
    assert "51 set aside for 30 days" in capsys.readouterr().out


def test_command_refuses_wrong_usage(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = f"sqlite:///{tmp_path / 'missing.db'}"
    assert run(monkeypatch, "verify", "--database", missing, "--key-file", key_file) == 2
    assert "found none" in capsys.readouterr().err and not (tmp_path / "missing.db").exists()
    copied = tmp_path / "copied.db"
    copied.touch()
    for command in ("verify", "list-audit"):
        assert run(monkeypatch, command, "--database", f"sqlite:///{copied}", "--key-file", key_file) == 2
        assert "expected the tables of a case log, found none" in capsys.readouterr().err
    assert run(monkeypatch, "sweep", "--database", missing, "--key-file", key_file) == 2
    assert "--images" in capsys.readouterr().err
    assert run(monkeypatch, "verify", "--database", "nonsense", "--key-file", key_file) == 2
    away = "postgresql://127.0.0.1:1/cases"
    assert run(monkeypatch, "verify", "--database", away, "--key-file", key_file) == 2
    assert run(monkeypatch, "verify", "--database", away, "--key-file", tmp_path / "none") == 2
    assert run(monkeypatch, "dance") == 2
