"""Images that no case names are set aside and come back, and many at once are left alone: in a folder and on S3."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from data.cases.case import LOCAL_ACTOR, Case
from data.cases.log import CaseLog, open_case_log
from data.cases.orphans import KEPT_ASIDE, MOST_ORPHANS, Swept, TooManyOrphans
from data.cases.storage import FolderStore, ImageMissing, ImageStore, open_image_store
from tests.support.case_log import made_up_draft, made_up_image
from tests.support.servers.s3_server import make_bucket

pytest_plugins = ("tests.support.servers.s3_server",)

KEY = b"0123456789abcdef0123456789abcdef"
NOW = timedelta(0)


@pytest.fixture(params=["folder", "s3"])
def images(request: pytest.FixtureRequest, tmp_path: Path) -> ImageStore:
    if request.param == "folder":
        return open_image_store(str(tmp_path / "images"))
    url = request.getfixturevalue("moto_url")
    return open_image_store(f"s3://{make_bucket(url)}/clinic", url)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'cases.db'}"


@pytest.fixture
def log(url: str, images: ImageStore) -> Iterator[CaseLog]:
    log = open_case_log(url, images, KEY)
    yield log
    log.close()


def save(log: CaseLog, seed: int = 0) -> Case:
    return log.save(made_up_draft(seed), made_up_image(seed), LOCAL_ACTOR)


def keys(store: ImageStore) -> list[str]:
    return sorted(store.keys(datetime.now(UTC) + timedelta(minutes=1)))


def test_what_no_case_names_is_set_aside_and_nothing_else(log: CaseLog, images: ImageStore, tmp_path: Path) -> None:
    case, orphan, foreign = save(log), log._new_image_key(), f"{uuid4()}.png"
    for key in (orphan, foreign):
        images.put(key, made_up_image())
    assert log.sweep() == Swept(0, 0, 0), "younger than an hour"
    assert log.sweep(NOW) == Swept(set_aside=1, put_back=0, removed=0)
    assert keys(images) == sorted([case.image_key, foreign])
    assert keys(images.quarantine) == [orphan]
    assert images.quarantine.get(orphan, made_up_image().sha256) == made_up_image().content
    other = open_case_log(f"sqlite:///{tmp_path}/other.db", images, KEY)
    assert other.sweep(NOW) == Swept(0, 0, 0)
    other.close()


def test_images_later_than_an_older_copy_outlive_it(log: CaseLog, images: ImageStore, url: str, tmp_path: Path) -> None:
    first = save(log)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as source, sqlite3.connect(tmp_path / "older.db") as older:
        source.backup(older)
    source.close()
    older.close()
    later = save(log, 1)
    with_older = open_case_log(f"sqlite:///{tmp_path}/older.db", images, KEY)
    assert with_older.sweep(NOW) == Swept(set_aside=1, put_back=0, removed=0)
    assert with_older.sweep(NOW) == Swept(0, 0, 0)
    with_older.close()
    with pytest.raises(ImageMissing):
        log.image(later, LOCAL_ACTOR)
    # The newest copy is put back: its images are there again.
    assert log.sweep(NOW) == Swept(set_aside=0, put_back=1, removed=0)
    assert log.image(later, LOCAL_ACTOR) == made_up_image(1).content
    assert log.image(first, LOCAL_ACTOR) == made_up_image(0).content


def test_many_orphans_are_left_where_they_are(log: CaseLog, images: ImageStore) -> None:
    for _ in range(MOST_ORPHANS + 1):
        images.put(log._new_image_key(), made_up_image())
    with pytest.raises(TooManyOrphans, match=f"at most {MOST_ORPHANS} images that no case names, received 51"):
        log.sweep(NOW)
    assert len(keys(images)) == MOST_ORPHANS + 1 and keys(images.quarantine) == []
    assert log.sweep(NOW, most=None) == Swept(MOST_ORPHANS + 1, 0, 0)
    assert keys(images) == []


def test_quarantine_ends_after_its_time(url: str, tmp_path: Path) -> None:
    images = FolderStore(tmp_path / "images")
    log = open_case_log(url, images, KEY)
    keys_of = [log._new_image_key() for _ in range(2)]
    for key in keys_of:
        images.put(key, made_up_image())
    os.utime(images.folder / keys_of[0], (0, 0))  # its age counts from when it was set aside
    assert log.sweep(NOW) == Swept(2, 0, 0)
    assert log.sweep(NOW) == Swept(0, 0, 0)
    for key, age in zip(keys_of, (KEPT_ASIDE - timedelta(hours=1), KEPT_ASIDE + timedelta(hours=1)), strict=True):
        then = (datetime.now(UTC) - age).timestamp()
        os.utime(images.quarantine.folder / key, (then, then))
    assert log.sweep(NOW) == Swept(set_aside=0, put_back=0, removed=1)
    assert keys(images.quarantine) == [keys_of[0]]
    log.close()


def test_rest_of_an_unfinished_write_is_removed(url: str, tmp_path: Path) -> None:
    images = FolderStore(tmp_path / "images")
    log = open_case_log(url, images, KEY)
    case = save(log)
    (images.folder / f"{log._new_image_key()}.k1ll3d.part").write_bytes(b"half")
    assert log.sweep(NOW) == Swept(0, 0, 0)
    assert [path.name for path in images.folder.iterdir()] == [case.image_key]
    log.close()
