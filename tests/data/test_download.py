"""A real HTTP server on this machine stands in for Dataverse: nothing here leaves it."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import stat
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest

from data import download
from data.datasets.ham10000 import DatasetError
from data.download import (
    IMAGES,
    MASKS,
    METADATA,
    ArchiveRejected,
    ChecksumMismatch,
    DownloadFailed,
    check_images,
    fetch_ham10000,
    published_files,
    unpack,
)

IMAGE_BYTES = 3_000


@dataclass
class FakeDataverse:
    """What the server answers, and what it was asked.

    Attributes:
        files: content by file id.
        listing: body of the dataset's description; made from `files` where None.
        cut_after: send so many bytes of a file, then hang up.
        knows_ranges: answer a Range request with 206, as Dataverse does.
        refusal: answer every file with this status.
        asked: path with query, and Range header, of each request for a file.
    """

    files: dict[int, bytes]
    listing: bytes | None = None
    cut_after: int | None = None
    knows_ranges: bool = True
    refusal: int | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def description(self) -> bytes:
        if self.listing is not None:
            return self.listing
        entries = [{"id": file_id, "md5": hashlib.md5(content).hexdigest()} for file_id, content in self.files.items()]
        for entry in entries:
            if entry["id"] == METADATA.file_id:
                entry["originalFileFormat"] = "text/csv"
        files = [{"label": str(entry["id"]), "dataFile": entry} for entry in entries]
        return json.dumps({"status": "OK", "data": {"latestVersion": {"files": files}}}).encode()


def handler_for(fake: FakeDataverse) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/api/datasets/:persistentId/":
                self.answer(200, fake.description())
                return
            wanted = self.headers.get("Range")
            fake.asked.append((self.path, wanted))
            content = fake.files.get(int(path.rsplit("/", 1)[1]))
            if fake.refusal or content is None:
                self.answer(fake.refusal or 404, b"")
                return
            first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and fake.knows_ranges else 0
            if first >= len(content):
                self.answer(416, b"")
                return
            rest = content[first:]
            self.answer(206 if first else 200, rest if fake.cut_after is None else rest[: fake.cut_after], len(rest))

        def answer(self, status: int, body: bytes, length: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def image_content(image_id: str) -> bytes:
    """Bytes that compress as badly as a JPEG's."""
    seed = int(hashlib.md5(image_id.encode()).hexdigest()[:8], 16)
    return np.random.default_rng(seed).bytes(IMAGE_BYTES)


@pytest.fixture
def dataverse(tiny_metadata: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDataverse]:
    """Ten images in two archives, their masks in a third, and the table."""
    # A proxy named in the environment must not be asked for this machine's own address.
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    image_ids = list(tiny_metadata["image_id"])
    images = [(f"{image_id}.jpg", image_content(image_id)) for image_id in image_ids]
    masks = {f"masks/{image_id}_segmentation.png": image_content(image_id + "m") for image_id in image_ids}
    fake = FakeDataverse(
        {
            METADATA.file_id: tiny_metadata.to_csv(index=False).encode(),
            IMAGES[0].file_id: zipped({**dict(images[:4]), "__MACOSX/._ISIC_01.jpg": b"x", "licence.txt": b"CC"}),
            IMAGES[1].file_id: zipped(dict(images[4:])),
            MASKS.file_id: zipped(masks),
        }
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(fake))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_everything_is_fetched_unpacked_and_counted(tmp_path: Path, dataverse: FakeDataverse):
    fetch_ham10000(tmp_path, "all", dataverse.url)
    assert names_in(tmp_path / "HAM10000_images_part_1") == [f"ISIC_{i:02d}.jpg" for i in range(1, 5)]
    assert names_in(tmp_path / "HAM10000_images_part_2") == [f"ISIC_{i:02d}.jpg" for i in range(5, 11)]
    assert len(names_in(tmp_path / "HAM10000_segmentations_lesion_tschandl")) == 10
    assert (tmp_path / "HAM10000_images_part_1" / "ISIC_03.jpg").read_bytes() == image_content("ISIC_03")
    assert check_images(tmp_path) == 10
    assert not list(tmp_path.rglob("*.part"))


def test_the_table_is_asked_for_as_its_authors_uploaded_it(tmp_path: Path, dataverse: FakeDataverse):
    fetch_ham10000(tmp_path, "metadata", dataverse.url)
    assert dataverse.asked == [(f"/api/access/datafile/{METADATA.file_id}?format=original", None)]
    assert names_in(tmp_path) == ["HAM10000_metadata.csv"]


def test_a_second_run_fetches_nothing(tmp_path: Path, dataverse: FakeDataverse):
    fetch_ham10000(tmp_path, "images", dataverse.url)
    asked = len(dataverse.asked)
    fetch_ham10000(tmp_path, "images", dataverse.url)
    assert asked == len(dataverse.asked) == 3


def test_a_cut_download_goes_on_where_it_stopped(tmp_path: Path, dataverse: FakeDataverse):
    dataverse.cut_after = 1_000
    with pytest.raises(DownloadFailed, match=r"received 1,000; run again to go on, or download .* by hand"):
        fetch_ham10000(tmp_path, "masks", dataverse.url)
    partial = tmp_path / "archives" / (MASKS.file + ".part")
    assert partial.stat().st_size == 1_000
    dataverse.cut_after = None
    fetch_ham10000(tmp_path, "masks", dataverse.url)
    assert [wanted for _, wanted in dataverse.asked] == [None, "bytes=1000-"]
    assert (tmp_path / "archives" / MASKS.file).read_bytes() == dataverse.files[MASKS.file_id]
    assert not partial.exists()


def test_a_server_without_ranges_makes_it_start_over(tmp_path: Path, dataverse: FakeDataverse):
    partial = tmp_path / "archives" / (MASKS.file + ".part")
    partial.parent.mkdir()
    partial.write_bytes(b"something else")
    dataverse.knows_ranges = False
    fetch_ham10000(tmp_path, "masks", dataverse.url)
    assert (tmp_path / "archives" / MASKS.file).read_bytes() == dataverse.files[MASKS.file_id]


def test_a_complete_part_file_is_only_verified(tmp_path: Path, dataverse: FakeDataverse):
    partial = tmp_path / "archives" / (MASKS.file + ".part")
    partial.parent.mkdir()
    partial.write_bytes(dataverse.files[MASKS.file_id])
    fetch_ham10000(tmp_path, "masks", dataverse.url)
    assert len(names_in(tmp_path / MASKS.folder)) == 10


def test_a_corrupted_file_is_refused_and_kept(tmp_path: Path, dataverse: FakeDataverse):
    dataverse.listing = dataverse.description()
    content = bytearray(dataverse.files[MASKS.file_id])
    content[len(content) // 2] ^= 1
    dataverse.files[MASKS.file_id] = bytes(content)
    with pytest.raises(
        ChecksumMismatch, match=r"expected MD5 [0-9a-f]{32} for .*\.part, received [0-9a-f]{32}; delete"
    ):
        fetch_ham10000(tmp_path, "masks", dataverse.url)
    assert (tmp_path / "archives" / (MASKS.file + ".part")).read_bytes() == bytes(content)
    assert not (tmp_path / MASKS.folder).exists()


def test_a_file_that_changed_on_disk_is_refused_and_kept(tmp_path: Path, dataverse: FakeDataverse):
    (tmp_path / "HAM10000_metadata.csv").write_text("mine")
    with pytest.raises(ChecksumMismatch, match="delete that file and run again"):
        fetch_ham10000(tmp_path, "metadata", dataverse.url)
    assert (tmp_path / "HAM10000_metadata.csv").read_text() == "mine"


def test_without_network_it_says_what_to_do_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as taken:
        # Bound but not listening: a connection to this port is refused.
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(DownloadFailed) as raised:
            fetch_ham10000(tmp_path, "images", f"http://127.0.0.1:{taken.getsockname()[1]}")
    message = str(raised.value)
    assert "check the network" in message
    assert "https://doi.org/10.7910/DVN/DBW86T" in message
    assert str(tmp_path / "HAM10000_images_part_1") in message


def test_a_refusal_is_reported_with_its_status(tmp_path: Path, dataverse: FakeDataverse):
    dataverse.refusal = 403
    with pytest.raises(DownloadFailed, match="the server answered 403"):
        fetch_ham10000(tmp_path, "metadata", dataverse.url)


@pytest.mark.parametrize("listing", [b"<html>try later</html>", b"{}", b'{"data": null}', b"[]"])
def test_an_answer_that_is_no_listing_is_reported(dataverse: FakeDataverse, listing: bytes):
    dataverse.listing = listing
    with pytest.raises(DownloadFailed, match="expected a list of files with md5"):
        published_files(dataverse.url, "")


def test_a_file_that_is_no_longer_listed_is_reported(tmp_path: Path, dataverse: FakeDataverse):
    del dataverse.files[IMAGES[1].file_id]
    with pytest.raises(DownloadFailed, match="Dataverse lists no such file"):
        fetch_ham10000(tmp_path, "images", dataverse.url)


def test_an_unknown_part_is_a_callers_mistake(tmp_path: Path):
    with pytest.raises(ValueError, match="expected one of metadata, images, masks, all, received 'pictures'"):
        fetch_ham10000(tmp_path, "pictures")


def test_missing_images_are_counted(tmp_path: Path, dataverse: FakeDataverse):
    dataverse.files[IMAGES[1].file_id] = zipped({"ISIC_05.jpg": image_content("ISIC_05")})
    with pytest.raises(DatasetError, match=r"expected 10 images in .*, found 5; first missing ISIC_06"):
        fetch_ham10000(tmp_path, "images", dataverse.url)


@pytest.mark.parametrize(
    "member", ["../escaped.jpg", "a/../../escaped.jpg", "/escaped.jpg", "C:/escaped.jpg", "..\\escaped.jpg"]
)
def test_members_that_point_outside_are_refused(tmp_path: Path, member: str):
    archive = tmp_path / "bad.zip"
    archive.write_bytes(zipped({"ISIC_1.jpg": image_content("1"), member: image_content("2")}))
    with pytest.raises(ArchiveRejected, match="points outside; nothing was unpacked"):
        unpack(archive, tmp_path / "out" / "images")
    assert names_in(tmp_path) == ["bad.zip"]


def test_links_are_refused(tmp_path: Path):
    link = zipfile.ZipInfo("ISIC_1.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ArchiveRejected, match="is a link"):
        unpack(tmp_path / "bad.zip", tmp_path / "images")


def test_two_members_of_one_name_are_refused(tmp_path: Path):
    (tmp_path / "bad.zip").write_bytes(zipped({"a/ISIC_1.jpg": image_content("1"), "b/ISIC_1.jpg": b"2"}))
    with pytest.raises(ArchiveRejected, match=r"ISIC_1\.jpg stands twice"):
        unpack(tmp_path / "bad.zip", tmp_path / "images")


def test_a_zip_bomb_is_refused(tmp_path: Path):
    (tmp_path / "bad.zip").write_bytes(zipped({"ISIC_1.jpg": bytes(5_000_000)}))
    with pytest.raises(ArchiveRejected, match="would grow to 5,000,000 bytes"):
        unpack(tmp_path / "bad.zip", tmp_path / "images")


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"PK\x03\x04 and no more"])
def test_a_damaged_archive_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(ArchiveRejected, match="is damaged"):
        unpack(tmp_path / "bad.zip", tmp_path / "images")


# The member's stream begins behind 30 bytes of header and 10 of name; a wrong first byte is a stream that cannot be
# decoded, a wrong byte in the middle one whose checksum differs.
@pytest.mark.parametrize("damaged", [40, 1_000])
def test_a_damaged_member_leaves_no_half_image(tmp_path: Path, damaged: int):
    content = bytearray(zipped({"ISIC_1.jpg": image_content("1")}))
    content[damaged] ^= 0b110
    (tmp_path / "bad.zip").write_bytes(bytes(content))
    with pytest.raises(ArchiveRejected, match="is damaged"):
        unpack(tmp_path / "bad.zip", tmp_path / "images")
    assert not (tmp_path / "images" / "ISIC_1.jpg").exists()


def test_unpacking_mends_a_truncated_image_and_leaves_the_others_alone(tmp_path: Path):
    (tmp_path / "good.zip").write_bytes(zipped({"x/ISIC_1.jpg": image_content("1"), "x/ISIC_2.JPG": b"22"}))
    images = tmp_path / "images"
    assert unpack(tmp_path / "good.zip", images) == 2
    untouched = (images / "ISIC_2.JPG").stat().st_mtime_ns
    (images / "ISIC_1.jpg").write_bytes(b"half")
    assert unpack(tmp_path / "good.zip", images) == 2
    assert (images / "ISIC_1.jpg").read_bytes() == image_content("1")
    assert (images / "ISIC_2.JPG").stat().st_mtime_ns == untouched


def test_the_command_ends_with_the_message_and_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def unreachable(base_url: str, by_hand: str) -> None:
        raise DownloadFailed(f"no connection; {by_hand}")

    monkeypatch.setattr(download, "published_files", unreachable)
    monkeypatch.setattr(sys, "argv", ["download", "--output", str(tmp_path), "--part", "metadata"])
    with pytest.raises(SystemExit) as ended:
        download.main()
    assert ended.value.code == 1
    assert "download the metadata by hand" in capsys.readouterr().err
