"""Stores and databases that lie, drip or fall silent: an end in time, an honest word, and nothing lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from data.cases import database
from data.cases.case import LOCAL_ACTOR, Decision
from data.cases.database import CaseLogUnavailable
from data.cases.log import CaseLog, open_case_log
from data.cases.orphans import Swept
from data.cases.queries import CaseQuery
from data.cases.storage import StorageUnavailable, open_image_store
from data.cases.stores import calls
from tests.support.case_log import made_up_draft, made_up_image
from tests.support.servers.misbehaving import Request, SilentDatabase, store_that

pytest_plugins = ("tests.support.servers.s3_server", "tests.support.servers.postgres_server")

KEY = b"0123456789abcdef0123456789abcdef"
IMAGE = made_up_image()
MISSING = b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"
LIST = '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated>{}</ListBucketResult>'
# So that a test ends soon; each limit is far above what an answer takes here.
SOON = 1.0


def new_key() -> str:
    return f"{uuid4()}.png"


pytestmark = pytest.mark.usefixtures("aws_credentials")


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_CALL_SECONDS", SOON)
    monkeypatch.setattr(calls, "_MOST_SECONDS", SOON)
    monkeypatch.setattr(database, "_ANSWER_SECONDS", SOON)
    monkeypatch.setattr(database, "_PING_SECONDS", SOON)


# --- A store ---------------------------------------------------------------------------------------------------------


def keeping(size: int) -> Callable[[Request], None]:
    """Says 200 to everything and keeps the first bytes of what it is sent."""
    kept: dict[str, bytes] = {}

    def answer(request: Request) -> None:
        name = request.path.partition("?")[0]
        if request.command == "PUT":
            kept[name] = request.content[:size]
            request.say(200, ETag='"made up"')
        elif kept.get(name):
            request.say(200, kept[name])
        else:
            request.say(404, MISSING)

    return answer


@pytest.mark.parametrize("size", [0, 100], ids=["nothing", "a part"])
def test_success_without_the_image_saves_no_case(tmp_path: Path, size: int) -> None:
    with store_that(keeping(size)) as url:
        log = open_case_log(f"sqlite:///{tmp_path}/cases.db", open_image_store("s3://lesions", url), KEY)
        with pytest.raises(StorageUnavailable, match="received success for one that it does not give back"):
            log.save(made_up_draft(), IMAGE, LOCAL_ACTOR)
        assert log.count(CaseQuery(), LOCAL_ACTOR) == 0
        log.close()


def test_success_with_the_image_is_believed() -> None:
    with store_that(keeping(len(IMAGE.content))) as url:
        store, key = open_image_store("s3://lesions", url), new_key()
        store.put(key, IMAGE)
        assert store.get(key, IMAGE.sha256) == IMAGE.content


def test_store_without_encryption_keys_names_the_setting_and_takes_images_without() -> None:
    keep = keeping(len(IMAGE.content))

    def minio(request: Request) -> None:
        # As MinIO answers where no KMS is configured.
        if "x-amz-server-side-encryption" in request.headers:
            request.say(501, b"<Error><Code>NotImplemented</Code><Message>KMS is not configured</Message></Error>")
        else:
            keep(request)

    with store_that(minio) as url:
        with pytest.raises(StorageUnavailable, match="set IMAGE_STORE_ENCRYPTION=none"):
            open_image_store("s3://lesions", url).put(new_key(), IMAGE)
        store, key = open_image_store("s3://lesions", url, "none"), new_key()
        store.put(key, IMAGE)
        assert store.get(key, IMAGE.sha256) == IMAGE.content


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_named_and_not_followed(status: int) -> None:
    asked: list[str] = []

    def elsewhere(request: Request) -> None:
        asked.append(request.path)
        request.say(200, IMAGE.content)

    with (
        store_that(elsewhere) as other,
        store_that(lambda request: request.say(status, Location=f"{other}{request.path}")) as url,
    ):
        store = open_image_store("s3://lesions", url)
        for call in (
            lambda: store.put(new_key(), IMAGE),
            lambda: store.get(new_key(), IMAGE.sha256),
            lambda: store.delete(new_key()),
            lambda: list(store.keys(datetime.now(UTC))),
        ):
            with pytest.raises(StorageUnavailable, match="correct AWS_REGION or IMAGE_STORE_ENDPOINT"):
                call()
    assert asked == []


def dripping_body(request: Request) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "1000000")
    request.end_headers()
    request.drip(b"x" * 1_000_000)


def dripping_head(request: Request) -> None:
    request.drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1_000_000)


@pytest.mark.usefixtures("short_limits")
@pytest.mark.parametrize("drip", [dripping_body, dripping_head], ids=["body", "head"])
def test_store_that_drips_is_given_up(drip: Callable[[Request], None]) -> None:
    with store_that(drip) as url:
        store = open_image_store("s3://lesions", url)
        for call in (
            lambda: store.put(new_key(), IMAGE),
            lambda: store.get(new_key(), IMAGE.sha256),
            lambda: list(store.keys(datetime.now(UTC))),
        ):
            with pytest.raises(StorageUnavailable, match="received no whole answer in time"):
                call()


@pytest.mark.parametrize(
    "date",
    ["", "<LastModified/>", "<LastModified>soon</LastModified>", "<LastModified>1970-01-01T00:00:00Z</LastModified>",
     "<LastModified>2999-01-01T00:00:00Z</LastModified>"],
)  # fmt: skip
def test_image_of_no_known_age_is_left_alone(tmp_path: Path, date: str) -> None:
    listed: list[str] = []
    others: list[str] = []

    def answer(request: Request) -> None:
        if request.command != "GET":
            others.append(request.command)
        entries = "".join(f"<Contents><Key>{key}</Key>{date}</Contents>" for key in listed)
        request.say(200, LIST.format("" if "quarantine" in request.path else entries).encode())

    with store_that(answer) as url:
        log = open_case_log(f"sqlite:///{tmp_path}/cases.db", open_image_store("s3://lesions", url), KEY)
        listed.append(log._new_image_key())
        if "1970" in date or "2999" in date or not date:
            assert log.sweep(timedelta(0)) == Swept(0, 0, 0)
        else:
            with pytest.raises(StorageUnavailable, match="received an answer that is none of S3's"):
                log.sweep(timedelta(0))
        log.close()
    assert others == []


@pytest.mark.parametrize("content", [b"<html>Welcome</html>", b"", b"{}", b"\xff\xfe"])
def test_page_instead_of_a_list_is_no_empty_store(content: bytes) -> None:
    with store_that(lambda request: request.say(200, content, Content_Type="text/html")) as url:
        store = open_image_store("s3://lesions", url)
        with pytest.raises(StorageUnavailable, match=r"none of S3's|received 500"):
            list(store.keys(datetime.now(UTC)))


# --- A database ------------------------------------------------------------------------------------------------------


@pytest.fixture
def silent(postgres_socket: Path) -> Iterator[SilentDatabase]:
    silent = SilentDatabase(postgres_socket)
    yield silent
    silent.close()


@pytest.fixture
def log(short_limits: None, silent: SilentDatabase, postgres_url: str, tmp_path: Path) -> Iterator[CaseLog]:
    log = open_case_log(silent.url(postgres_url), open_image_store(str(tmp_path / "images")), KEY)
    yield log
    log.close()


def test_silent_database_is_given_up_and_used_again(log: CaseLog, silent: SilentDatabase) -> None:
    case = log.save(made_up_draft(), IMAGE, LOCAL_ACTOR)
    again = made_up_draft(1)
    silent.is_silent.set()
    for call in (
        lambda: log.save(again, IMAGE, LOCAL_ACTOR),
        lambda: log.count(CaseQuery(), LOCAL_ACTOR),
        lambda: log.decide(case.case_id, Decision("nv", "biopsy"), LOCAL_ACTOR),
    ):
        with pytest.raises(CaseLogUnavailable, match="expected the case log's database to answer, received Conn"):
            call()
    silent.is_silent.clear()
    log.save(again, IMAGE, LOCAL_ACTOR)
    assert log.count(CaseQuery(), LOCAL_ACTOR) == 2 and log.verify(LOCAL_ACTOR).fault is None


def test_database_that_falls_silent_inside_a_save_keeps_all_or_nothing(log: CaseLog, silent: SilentDatabase) -> None:
    draft = made_up_draft()
    with pytest.raises(CaseLogUnavailable), log._database.writing() as session:
        log._trail.append(session, LOCAL_ACTOR, "sign-in")
        silent.is_silent.set()
    silent.is_silent.clear()
    log.save(draft, IMAGE, LOCAL_ACTOR)
    report = log.verify(LOCAL_ACTOR)
    assert (report.fault, report.cases) == (None, 1)


def test_connection_that_died_unnoticed_is_replaced(log: CaseLog, silent: SilentDatabase) -> None:
    for _ in range(8):  # beyond the number of times after which a statement is prepared
        assert log.count(CaseQuery(), LOCAL_ACTOR) == 0
        silent.is_silent.set()
        awake = threading.Timer(SOON / 2, silent.is_silent.clear)  # what was asked until then is never answered
        awake.start()
        assert log.count(CaseQuery(), LOCAL_ACTOR) == 0
        awake.join()


def test_migration_may_take_longer_than_a_save(log: CaseLog) -> None:
    sleep = f"SELECT pg_sleep({2 * SOON})"
    with log._database.writing(is_patient=True) as session:
        session.connection().exec_driver_sql(sleep)
    with pytest.raises(CaseLogUnavailable), log._database.reading() as session:
        session.connection().exec_driver_sql(sleep)
