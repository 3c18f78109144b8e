"""Fetch HAM10000 from Harvard Dataverse, check it, unpack it.

    python -m data.download                      # everything, about 3 GB, into data/raw/ham10000
    python -m data.download --part metadata      # the table alone, under 1 MB

A download that was cut off goes on where it stopped when the command is run again. Every file is compared with the
MD5 that Dataverse publishes for it. The archives stay in the folder's `archives/`, so that a second run fetches
nothing; they may be deleted once unpacked. Licence of the data: CC BY-NC 4.0. Progress bars by tqdm.

Source:
    Tschandl, Rosendahl, Kittler, Scientific Data 2018;5:180161, doi:10.1038/sdata.2018.161; files at
    doi:10.7910/DVN/DBW86T. Masks: Tschandl et al., Nature Medicine 2020;26:1229, doi:10.1038/s41591-020-0942-0.
    Interface: Dataverse native and data access API, https://guides.dataverse.org/en/latest/api/.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import shutil
import stat
import urllib.error
import urllib.request
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from data.datasets.ham10000 import MASK_FOLDER, METADATA_FILE, DatasetError, image_path, load_metadata

# urllib hands a refusal over as an error that can be read like a response.
Response = http.client.HTTPResponse | urllib.error.HTTPError

DATAVERSE = "https://dataverse.harvard.edu"
DATASET_DOI = "10.7910/DVN/DBW86T"
DEFAULT_OUTPUT = Path("data/raw/ham10000")
ARCHIVES = "archives"
TIMEOUT_SECONDS = 60.0
CHUNK_BYTES = 1 << 20
IMAGE_SUFFIXES: tuple[str, ...] = (".jpg", ".png")
# JPEG and PNG are compressed already; an archive that grows tenfold holds something else.
MAX_GROWTH = 10


class DownloadFailed(Exception):
    """A file could not be fetched; the message says how to get it by hand."""


class ChecksumMismatch(Exception):
    """A fetched file is not the one that Dataverse describes. It stays on disk and is not used."""


class ArchiveRejected(Exception):
    """An archive that is damaged, or whose members do not belong into the folder; no bad member was kept."""


@dataclass(frozen=True)
class Part:
    """One file of the dataset at Dataverse.

    Attributes:
        file_id: Dataverse's number of the file.
        file: the name it gets on disk.
        folder: where its images go, inside the output folder; None for a file that is used as it is.
    """

    file_id: int
    file: str
    folder: str | None


@dataclass(frozen=True)
class PublishedFile:
    """What Dataverse says of a file.

    Attributes:
        md5: hexadecimal checksum of the file its authors uploaded.
        is_converted: Dataverse serves a tab-separated copy unless asked for the original.
    """

    md5: str
    is_converted: bool


METADATA = Part(4338392, METADATA_FILE, None)
IMAGES: tuple[Part, ...] = (
    Part(3172585, "HAM10000_images_part_1.zip", "HAM10000_images_part_1"),
    Part(3172584, "HAM10000_images_part_2.zip", "HAM10000_images_part_2"),
)
MASKS = Part(3838943, f"{MASK_FOLDER}.zip", MASK_FOLDER)
# The metadata come first with the images: the images are counted against them.
PARTS: dict[str, tuple[Part, ...]] = {
    "metadata": (METADATA,),
    "images": (METADATA, *IMAGES),
    "masks": (MASKS,),
    "all": (METADATA, *IMAGES, MASKS),
}


def fetch_ham10000(output: Path, part: str = "all", base_url: str = DATAVERSE) -> None:
    """Download, verify, unpack and count a part of HAM10000.

    Args:
        output: folder to fill, made if need be.
        part: a key of `PARTS`.
        base_url: the Dataverse installation, without a slash at the end.

    Raises:
        ValueError: `part` is not a key of `PARTS`.
        DownloadFailed: no network, a refusal, a broken connection, or a file that Dataverse does not list.
        ChecksumMismatch: a file's MD5 is not the published one.
        ArchiveRejected: an archive is damaged or unsafe.
        DatasetError: the metadata table is not as expected, or images of it are missing.
    """
    if part not in PARTS:
        raise ValueError(f"expected one of {', '.join(PARTS)}, received {part!r}")
    published = published_files(base_url, "; ".join(_by_hand(item, output) for item in PARTS[part]))
    for item in PARTS[part]:
        if item.file_id not in published:
            raise DownloadFailed(
                f"expected {item.file} (file {item.file_id}) in the dataset, Dataverse lists no such file; "
                f"update LesionLens, {_by_hand(item, output)}"
            )
        file = published[item.file_id]
        path = output / item.file if item.folder is None else output / ARCHIVES / item.file
        url = f"{base_url}/api/access/datafile/{item.file_id}" + ("?format=original" if file.is_converted else "")
        download(url, path, file.md5, _by_hand(item, output))
        if item.folder is not None:
            unpack(path, output / item.folder)
    if set(IMAGES) <= set(PARTS[part]):
        check_images(output)


def published_files(base_url: str, by_hand: str) -> dict[int, PublishedFile]:
    """Checksums of the dataset's files by file id, asked from Dataverse.

    Args:
        base_url: see `fetch_ham10000`.
        by_hand: what a person can do if there is no answer, for the message.

    Raises:
        DownloadFailed: no network, or an answer that is not the expected listing.
    """
    url = f"{base_url}/api/datasets/:persistentId/?persistentId=doi:{DATASET_DOI}"
    with _opened(url, 0, by_hand) as response:
        content = b"".join(iter(lambda: _read(response, by_hand), b""))
    try:
        files = [entry["dataFile"] for entry in json.loads(content)["data"]["latestVersion"]["files"]]
        return {int(file["id"]): PublishedFile(file["md5"].lower(), "originalFileFormat" in file) for file in files}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DownloadFailed(
            f"expected a list of files with md5 from {url}, received something else; {by_hand}"
        ) from error


def download(url: str, path: Path, md5: str, by_hand: str) -> None:
    """Fetch one file, going on with a `.part` file where there is one; does nothing where the file is there already.

    Args:
        url: of the file; a server that ignores the Range header makes it start over.
        path: where the file goes once its checksum is right; until then it is `<path>.part`.
        md5: expected checksum, hexadecimal.
        by_hand: what a person can do if it fails, for the message.

    Raises:
        DownloadFailed: no network, a refusal or a broken connection; the `.part` file keeps what has come.
        ChecksumMismatch: the whole file came and its MD5 differs; nothing is deleted.
    """
    if path.exists():
        _check_md5(path, md5)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    have = partial.stat().st_size if partial.exists() else 0
    with _opened(url, have, by_hand) as response:
        # 206: the rest. 416: nothing is left to send. Anything else is the file from its first byte.
        if response.status == http.client.PARTIAL_CONTENT:
            _append(response, partial, have, by_hand)
        elif response.status != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            _append(response, partial, 0, by_hand)
    _check_md5(partial, md5)
    partial.replace(path)


def unpack(archive: Path, folder: Path) -> int:
    """Unpack an archive's JPEG and PNG files into one flat folder; other members are left out.

    Args:
        archive: a zip file.
        folder: made if need be; a file of the same name and size is taken as unpacked.

    Returns:
        Number of images in the archive.

    Raises:
        ArchiveRejected: not a zip file, damaged, a member that points outside or is a link, two members of one name,
            or far more bytes than images can hold. Checked before anything is written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _checked_members(opened, archive)
            folder.mkdir(parents=True, exist_ok=True)
            for name, member in tqdm(members.items(), desc=f"unpacking {archive.name}", unit="image", disable=None):
                target = folder / name
                if not target.exists() or target.stat().st_size != member.file_size:
                    _extract(opened, member, target)
    # RuntimeError is zipfile's word for an encrypted member and for an unknown compression.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ArchiveRejected(
            f"expected a zip file, {archive} is damaged ({error}); delete it and run again"
        ) from error
    return len(members)


def check_images(dataset: Path) -> int:
    """Count the images of a HAM10000 folder against its metadata.

    Returns:
        Number of images, one for each row of the metadata.

    Raises:
        DatasetError: an image of the metadata is missing, or see `load_metadata`.
    """
    image_ids = list(load_metadata(dataset)["image_id"])
    missing = [image_id for image_id in image_ids if image_path(dataset, image_id) is None]
    if missing:
        raise DatasetError(
            f"expected {len(image_ids):,} images in {dataset}, found {len(image_ids) - len(missing):,}; "
            f"first missing {missing[0]}; run: python -m data.download --part images"
        )
    return len(image_ids)


def _by_hand(item: Part, output: Path) -> str:
    if item.folder is None:
        return (
            f"or download the metadata by hand from https://doi.org/{DATASET_DOI} and save it as {output / item.file}"
        )
    return (
        f"or download {item.file} by hand from https://doi.org/{DATASET_DOI} and unpack it into {output / item.folder}"
    )


def _opened(url: str, first_byte: int, by_hand: str) -> Response:
    """The response to a request for a URL from a byte on; a 416 is a response, every other error raises."""
    request = urllib.request.Request(url, headers={"User-Agent": "LesionLens (python -m data.download)"})
    if first_byte:
        request.add_header("Range", f"bytes={first_byte}-")
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
        return response
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and first_byte:
            return error
        error.close()
        raise DownloadFailed(
            f"expected {url}, the server answered {error.code} {error.reason}; try later, {by_hand}"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise DownloadFailed(f"expected {url}, no connection ({error}); check the network, {by_hand}") from error


def _read(response: Response, by_hand: str) -> bytes:
    try:
        return response.read(CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadFailed(f"the connection broke ({error}); run again to go on, {by_hand}") from error


def _append(response: Response, partial: Path, first_byte: int, by_hand: str) -> None:
    """Write a response behind the first bytes of a file; a response shorter than announced raises DownloadFailed."""
    length = response.headers.get("Content-Length")
    total = first_byte + int(length) if length else None
    with (
        partial.open("ab" if first_byte else "wb") as file,
        tqdm(
            total=total, initial=first_byte, desc=partial.stem, unit="B", unit_scale=True, mininterval=0.5, disable=None
        ) as bar,
    ):
        while chunk := _read(response, by_hand):
            file.write(chunk)
            bar.update(len(chunk))
    have = partial.stat().st_size
    if total is not None and have < total:
        raise DownloadFailed(
            f"expected {total:,} bytes of {partial.stem}, received {have:,}; run again to go on, {by_hand}"
        )


def _check_md5(path: Path, md5: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != md5:
        raise ChecksumMismatch(f"expected MD5 {md5} for {path}, received {found}; delete that file and run again")


def _checked_members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The images of an archive by file name, or ArchiveRejected."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        place = PurePosixPath(member.filename)
        # A backslash or a drive letter would be a path of its own on Windows.
        if place.is_absolute() or ".." in place.parts or "\\" in member.filename or ":" in member.filename:
            raise ArchiveRejected(f"{path}: member {member.filename!r} points outside; nothing was unpacked")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ArchiveRejected(f"{path}: member {member.filename!r} is a link; nothing was unpacked")
        # macOS adds its own `._` copies of every file.
        if member.is_dir() or place.suffix.lower() not in IMAGE_SUFFIXES or place.name.startswith("."):
            continue
        if place.name in members:
            raise ArchiveRejected(f"{path}: {place.name} stands twice; nothing was unpacked")
        members[place.name] = member
    unpacked = sum(member.file_size for member in members.values())
    if unpacked > MAX_GROWTH * path.stat().st_size:
        raise ArchiveRejected(f"{path}: would grow to {unpacked:,} bytes, which images do not; nothing was unpacked")
    return members


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    # Renamed when complete, so that a run that is stopped leaves no half image under an image's name.
    partial = target.with_name(target.name + ".part")
    with archive.open(member) as source, partial.open("wb") as file:
        shutil.copyfileobj(source, file)
    partial.replace(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help="folder to fill")
    parser.add_argument("--part", choices=tuple(PARTS), default="all", help="what to fetch")
    arguments = parser.parse_args()
    try:
        fetch_ham10000(arguments.output, arguments.part)
    except (DownloadFailed, ChecksumMismatch, ArchiveRejected, DatasetError) as error:
        parser.exit(1, f"{error}\n")
    print(f"{arguments.output}: {arguments.part} complete")


if __name__ == "__main__":
    main()
