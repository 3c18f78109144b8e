"""A folder and real S3 servers keep the same promises; what only one of them does is tested below."""

from __future__ import annotations

import base64
import errno
import functools
import hashlib
import hmac
import io
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import numpy as np
import pytest
import requests
from botocore.stub import Stubber
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from data.cases.case import StoredImage
from data.cases.storage import (
    FolderStore,
    ImageAltered,
    ImageMissing,
    ImageStore,
    S3Store,
    StorageUnavailable,
    open_image_store,
    stored_image,
)
from data.cases.stores import folder as folder_module
from data.cases.stores import s3 as s3_module
from model.images.decoding import decode_image
from tests.support.servers.ports import free_port
from tests.support.servers.s3_server import CREDENTIALS, make_bucket

pytest_plugins = ("tests.support.servers.s3_server",)

SECRET = "Anna Muster 1970-01-01"
SOON = timedelta(minutes=1)


@dataclass(frozen=True)
class Place:
    """A store, and the way behind its back."""

    store: ImageStore
    overwrite: Callable[[str, bytes], object]


def pixels(seed: int = 0, height: int = 30, width: int = 40) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def new_key() -> str:
    return f"{uuid4()}.png"


def now() -> datetime:
    return datetime.now(UTC)


@functools.cache
def opened(url: str) -> S3Store:
    store = open_image_store(f"s3://{make_bucket(url)}", url)
    assert isinstance(store, S3Store)
    return store


def s3_store(url: str) -> S3Store:
    """A store with a fresh prefix; opening costs more than most tests below."""
    return replace(opened(url), prefix=f"clinic/{uuid4()}/")


def folder_place(tmp_path: Path) -> Place:
    store = FolderStore(tmp_path / "images")
    return Place(store, lambda key, content: (store.folder / key).write_bytes(content))


def s3_place(url: str) -> Place:
    store = s3_store(url)
    return Place(
        store,
        lambda key, content: store.client.put_object(Bucket=store.bucket, Key=store.prefix + key, Body=content),
    )


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return folder_place(tmp_path) if request.param == "folder" else s3_place(request.getfixturevalue("moto_url"))


@pytest.fixture
def image() -> StoredImage:
    return stored_image(pixels())


# The stored image


def test_stored_image_keeps_every_pixel() -> None:
    image = stored_image(pixels())
    assert (image.width, image.height) == (40, 30)
    assert image.sha256 == hashlib.sha256(image.content).hexdigest()
    with Image.open(io.BytesIO(image.content)) as opened:
        assert (opened.format, opened.mode) == ("PNG", "RGB")
        assert np.array_equal(np.asarray(opened), pixels())


def test_same_pixels_give_the_same_bytes() -> None:
    assert stored_image(pixels()) == stored_image(pixels().copy())


def jpeg_with_metadata(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = SECRET
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAreaInformation] = SECRET
    return _saved(image, "JPEG", exif=exif, comment=SECRET.encode(), icc_profile=profile(), xmp=SECRET.encode())


def png_with_metadata(image: Image.Image) -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", SECRET)
    text.add_itxt("Referrer", SECRET, zip=True)
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = SECRET
    return _saved(image, "PNG", pnginfo=text, exif=exif, icc_profile=profile())


def tiff_with_metadata(image: Image.Image) -> bytes:
    return _saved(image, "TIFF", description=SECRET, artist=SECRET, icc_profile=profile())


def _saved(image: Image.Image, file_format: str, **settings: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **settings)
    return file.getvalue() + SECRET.encode()  # behind the end of the image, as some cameras do


def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def chunk_names(png: bytes) -> list[str]:
    names, at = [], 8
    while at < len(png):
        names.append(png[at + 4 : at + 8].decode())
        at += 12 + int.from_bytes(png[at : at + 4], "big")
    return names


@pytest.mark.parametrize("with_metadata", [jpeg_with_metadata, png_with_metadata, tiff_with_metadata])
def test_no_metadata_of_an_upload_is_stored(with_metadata: Callable[[Image.Image], bytes]) -> None:
    upload = with_metadata(Image.fromarray(pixels(height=80, width=100)))
    assert SECRET.encode() in upload
    content = stored_image(decode_image(upload)).content
    assert set(chunk_names(content)) == {"IHDR", "IDAT", "IEND"}
    assert SECRET.encode() not in content


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
    ids=["grey", "alpha", "float", "empty"],
)
def test_stored_image_takes_only_rgb_bytes(image: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"expected an RGB image \(H, W, 3\) uint8, received"):
        stored_image(image)


# What every store does


def test_what_was_put_is_got(place: Place, image: StoredImage) -> None:
    key = new_key()
    place.store.put(key, image)
    assert place.store.get(key, image.sha256) == image.content


def test_putting_twice_is_putting_once(place: Place, image: StoredImage) -> None:
    key = new_key()
    place.store.put(key, image)
    place.store.put(key, image)
    assert list(place.store.keys(now() + SOON)) == [key]


def test_a_later_image_replaces_the_earlier_one(place: Place, image: StoredImage) -> None:
    key, later = new_key(), stored_image(pixels(1))
    place.store.put(key, image)
    place.store.put(key, later)
    assert place.store.get(key, later.sha256) == later.content


def test_missing_image_is_named(place: Place, image: StoredImage) -> None:
    with pytest.raises(ImageMissing, match="received nothing"):
        place.store.get(new_key(), image.sha256)


@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: b"", lambda content: content + b"x"])
def test_altered_image_is_never_given(place: Place, image: StoredImage, change: Callable[[bytes], bytes]) -> None:
    key = new_key()
    place.store.put(key, image)
    place.overwrite(key, change(image.content))
    with pytest.raises(ImageAltered, match="changed after it was saved"):
        place.store.get(key, image.sha256)


def test_deleting_removes_the_image_and_may_be_repeated(place: Place, image: StoredImage) -> None:
    key, other = new_key(), new_key()
    place.store.put(key, image)
    place.store.put(other, image)
    place.store.delete(key)
    place.store.delete(key)
    assert list(place.store.keys(now() + SOON)) == [other]
    with pytest.raises(ImageMissing):
        place.store.get(key, image.sha256)


def test_moving_takes_an_image_over_whole_and_back(place: Place, image: StoredImage) -> None:
    key, store = new_key(), place.store
    store.put(key, image)
    store.move(key, store.quarantine)
    assert list(store.keys(now() + SOON)) == [] and list(store.quarantine.keys(now() + SOON)) == [key]
    with pytest.raises(ImageMissing):
        store.get(key, image.sha256)
    with pytest.raises(ImageMissing):
        store.move(key, store.quarantine)
    assert store.quarantine.get(key, image.sha256) == image.content
    store.quarantine.move(key, store)
    assert store.get(key, image.sha256) == image.content and list(store.quarantine.keys(now() + SOON)) == []


def test_keys_are_those_of_old_images_only(place: Place, image: StoredImage) -> None:
    keys = sorted(new_key() for _ in range(3))
    for key in keys:
        place.store.put(key, image)
    place.overwrite("README.txt", b"not an image of a case")
    assert list(place.store.keys(now() - SOON)) == []
    assert sorted(place.store.keys(now() + SOON)) == keys


@pytest.mark.parametrize(
    "key",
    [
        "",
        "../secret.png",
        "a/b.png",
        "x" * 36 + ".png",
        "-" * 36 + ".png",
        "6f9619ff-8b86-4d01-b42d-00c04fc964ff.jpg",
        "6f9619ff-8b86-4d01-b42d-00c04fc964ff.png\n",
        SECRET,
    ],
)
def test_no_other_name_is_a_key(place: Place, image: StoredImage, key: str) -> None:
    for call in (
        lambda: place.store.put(key, image),
        lambda: place.store.get(key, image.sha256),
        lambda: place.store.delete(key),
        lambda: place.store.download_url(key),
        lambda: place.store.upload_form(key, "image/png", 1000),
    ):
        with pytest.raises(ValueError, match=r"expected an image key of the form UUID\.png") as raised:
            call()
        assert SECRET not in str(raised.value)


# Opening


def test_opening_a_folder_writes_nothing(tmp_path: Path) -> None:
    assert open_image_store(str(tmp_path / "images")) == FolderStore(tmp_path / "images")
    assert not (tmp_path / "images").exists()


@pytest.mark.usefixtures("aws_credentials")
@pytest.mark.parametrize(
    ("location", "bucket", "prefix"),
    [("s3://b", "b", ""), ("s3://b/", "b", ""), ("s3://b/a/c", "b", "a/c/"), ("s3://b/a/", "b", "a/")],
)
def test_bucket_and_prefix_are_read_from_the_location(location: str, bucket: str, prefix: str) -> None:
    store = open_image_store(location)
    assert isinstance(store, S3Store)
    assert (store.bucket, store.prefix) == (bucket, prefix)


@pytest.mark.parametrize("location", ["", "s3://", "s3:///prefix", "gs://bucket/prefix", "https://bucket"])
def test_other_locations_are_refused(location: str) -> None:
    with pytest.raises(ValueError, match=r"expected a folder or s3://bucket/prefix"):
        open_image_store(location)


# A folder


@pytest.fixture
def folder(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "deep" / "images")


def test_folder_without_images_is_empty(folder: FolderStore) -> None:
    assert list(folder.keys(now())) == []
    folder.delete(new_key())
    assert not folder.folder.exists()


def test_only_the_owner_may_read(folder: FolderStore, image: StoredImage) -> None:
    key = new_key()
    folder.put(key, image)
    assert folder.folder.stat().st_mode & 0o777 == 0o700
    assert (folder.folder / key).stat().st_mode & 0o777 == 0o600


def test_folder_has_no_addresses(folder: FolderStore) -> None:
    assert folder.download_url(new_key()) is None
    assert folder.upload_form(new_key(), "image/png", 1000) is None


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_failed_write_leaves_the_old_image(
    folder: FolderStore, image: StoredImage, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    key = new_key()
    folder.put(key, image)

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(folder_module.os, step, fail)
        with pytest.raises(StorageUnavailable, match=rf"{os.strerror(code)}; check the disk's free space"):
            folder.put(key, stored_image(pixels(1)))
    assert [path.name for path in folder.folder.iterdir()] == [key]
    assert folder.get(key, image.sha256) == image.content


def test_folder_that_is_a_file_is_unavailable(tmp_path: Path, image: StoredImage) -> None:
    (tmp_path / "images").write_text("not a folder")
    store = FolderStore(tmp_path / "images")
    with pytest.raises(StorageUnavailable, match="expected to write images in the folder"):
        store.put(new_key(), image)
    with pytest.raises(StorageUnavailable, match="expected to read images in the folder"):
        store.get(new_key(), image.sha256)


def test_unfinished_write_is_listed_and_deleted_but_never_read(folder: FolderStore, image: StoredImage) -> None:
    key = new_key()
    folder.put(new_key(), image)
    (folder.folder / f"{key}.k1ll3d.part").write_bytes(image.content[:100])
    assert key in list(folder.keys(now() + SOON))
    with pytest.raises(ImageMissing):
        folder.get(key, image.sha256)
    folder.delete(key)
    assert key not in list(folder.keys(now() + SOON))
    assert len(list(folder.folder.iterdir())) == 1


def test_key_of_finished_and_unfinished_write_is_listed_once(folder: FolderStore, image: StoredImage) -> None:
    key = new_key()
    folder.put(key, image)
    (folder.folder / f"{key}.k1ll3d.part").write_bytes(b"")
    assert list(folder.keys(now() + SOON)) == [key]


# S3


@pytest.fixture
def s3(moto_url: str) -> S3Store:
    return s3_store(moto_url)


def head(store: S3Store, key: str) -> dict[str, Any]:
    return store.client.head_object(Bucket=store.bucket, Key=store.prefix + key, ChecksumMode="ENABLED")


def sent_headers(store: S3Store) -> dict[str, str]:
    """Filled with the headers of the next image that is put."""
    headers: dict[str, str] = {}

    def note(request: Any, **_: object) -> None:
        for name, value in request.headers.items():
            headers[name.lower()] = value.decode() if isinstance(value, bytes) else value

    store.client.meta.events.register("before-send.s3.PutObject", note)
    return headers


def test_image_is_sent_encrypted_and_signed_with_its_hash(s3: S3Store, image: StoredImage) -> None:
    store = open_image_store(f"s3://{s3.bucket}/headers", s3.client.meta.endpoint_url)
    assert isinstance(store, S3Store)
    headers, key = sent_headers(store), new_key()
    store.put(key, image)
    assert headers["x-amz-server-side-encryption"] == "AES256"
    assert headers["x-amz-content-sha256"] == image.sha256
    # Google Cloud Storage refuses these two.
    assert not [name for name in headers if name.startswith("x-amz-checksum") or name == "x-amz-trailer"]
    assert headers.get("content-encoding", "") == ""
    kept = head(store, key)
    assert kept["ServerSideEncryption"] == "AES256"
    assert (kept["ContentType"], kept["Metadata"]) == ("image/png", {"sha256": image.sha256})


@pytest.mark.parametrize(
    ("encryption", "header"),
    [("AES256", "AES256"), ("aws:kms", "aws:kms"), ("none", None)],
    ids=["AES256", "kms", "none"],
)
def test_encryption_is_asked_for_by_setting(
    s3: S3Store, image: StoredImage, encryption: str, header: str | None
) -> None:
    store = open_image_store(f"s3://{s3.bucket}/{uuid4()}", s3.client.meta.endpoint_url, encryption)
    assert isinstance(store, S3Store)
    headers, key = sent_headers(store), new_key()
    store.put(key, image)
    assert headers.get("x-amz-server-side-encryption") == header
    assert store.upload_form(key, "image/png", 1000).fields.get("x-amz-server-side-encryption") == header
    del headers["x-amz-content-sha256"]
    store.move(key, store.quarantine)
    assert headers.get("x-amz-server-side-encryption") == header


def test_listing_goes_on_after_the_first_page(s3: S3Store, image: StoredImage, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = sorted(new_key() for _ in range(5))
    for key in keys:
        s3.put(key, image)
    paginate = s3.client.get_paginator("list_objects_v2").paginate

    class SmallPages:
        def paginate(self, **parameters: Any) -> Any:
            return paginate(**parameters, PaginationConfig={"PageSize": 2})

    monkeypatch.setattr(s3.client, "get_paginator", lambda _: SmallPages())
    assert list(s3.keys(now() + SOON)) == keys


def test_stores_of_two_prefixes_do_not_meet(moto_url: str, image: StoredImage) -> None:
    bucket, key = make_bucket(moto_url), new_key()
    one, other = (open_image_store(f"s3://{bucket}/{name}", moto_url) for name in ("a", "ab"))
    one.put(key, image)
    assert list(other.keys(now() + SOON)) == []
    with pytest.raises(ImageMissing):
        other.get(key, image.sha256)


def all_calls(store: ImageStore, image: StoredImage) -> list[Callable[[], object]]:
    key = new_key()
    return [
        lambda: store.put(key, image),
        lambda: store.get(key, image.sha256),
        lambda: store.delete(key),
        lambda: list(store.keys(now())),
    ]


@pytest.mark.usefixtures("aws_credentials")
def test_store_away_is_unavailable(image: StoredImage) -> None:
    store = open_image_store("s3://lesions/clinic", f"http://127.0.0.1:{free_port()}")
    for call in all_calls(store, image):
        with pytest.raises(StorageUnavailable, match=r"bucket lesions to .+ received EndpointConnectionError; check"):
            call()


@pytest.mark.usefixtures("aws_credentials")
def test_silent_store_is_given_up(image: StoredImage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "_READ_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = open_image_store("s3://lesions", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(StorageUnavailable, match="ReadTimeoutError"):
            store.put(new_key(), image)


def test_missing_bucket_is_named(moto_url: str, image: StoredImage) -> None:
    store = open_image_store("s3://nowhere", moto_url)
    for call in all_calls(store, image):
        with pytest.raises(StorageUnavailable, match=r"bucket nowhere to .+ received NoSuchBucket; create the bucket"):
            call()


def test_missing_credentials_are_named(moto_url: str, image: StoredImage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store = open_image_store("s3://lesions", moto_url)
    calls = [*all_calls(store, image), lambda: store.download_url(new_key())]
    calls.append(lambda: store.upload_form(new_key(), "image/png", 1000))
    for call in calls:
        with pytest.raises(StorageUnavailable, match="NoCredentialsError; check the network, the endpoint and the AWS"):
            call()


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("AccessDenied", "let the credentials put, get, delete and list under the prefix"),
        ("ExpiredToken", "renew the AWS credentials"),
        ("InvalidArgument", "the endpoint may not know the server-side encryption"),
        ("NotImplemented", "the endpoint may not know the server-side encryption"),
        ("SlowDown", "try again later"),
    ],
)
def test_refusal_says_what_to_do(s3: S3Store, image: StoredImage, code: str, advice: str) -> None:
    with Stubber(s3.client) as stubber:
        stubber.add_client_error("put_object", code, "a text that may name accounts")
        with pytest.raises(StorageUnavailable, match=f"received {code}; {advice}") as raised:
            s3.put(new_key(), image)
    assert "accounts" not in str(raised.value)


@pytest.mark.parametrize("seconds", [0, -1, 3601])
def test_addresses_live_for_an_hour_at_most(s3: S3Store, seconds: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 3600 seconds"):
        s3.download_url(new_key(), seconds)
    with pytest.raises(ValueError, match="from 1 to 3600 seconds"):
        s3.upload_form(new_key(), "image/png", 1000, seconds)


def test_download_by_address(s3: S3Store, image: StoredImage) -> None:
    key = new_key()
    s3.put(key, image)
    answer = requests.get(s3.download_url(key), timeout=60)
    assert answer.content == image.content
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{key}"'


def test_form_shows_no_signature_when_printed(s3: S3Store) -> None:
    form = s3.upload_form(new_key(), "image/png", 1000)
    assert form.fields["x-amz-signature"]
    assert form.fields["x-amz-signature"] not in repr(form)


# A store that checks signatures, as AWS does


@pytest.fixture
def strict(localstack_url: str) -> S3Store:
    return s3_store(localstack_url)


def post(store: S3Store, content: bytes, **changes: str) -> requests.Response:
    form = store.upload_form(new_key(), "image/png", max_bytes=5000)
    return requests.post(form.url, data={**form.fields, **changes}, files={"file": content}, timeout=60)


def test_every_call_is_signed_rightly(strict: S3Store, image: StoredImage) -> None:
    key = new_key()
    strict.put(key, image)
    assert strict.get(key, image.sha256) == image.content
    assert list(strict.keys(now() + SOON)) == [key]
    assert head(strict, key)["ServerSideEncryption"] == "AES256"
    strict.delete(key)
    with pytest.raises(ImageMissing):
        strict.get(key, image.sha256)


def test_aws_itself_keeps_the_checksum_too(strict: S3Store, image: StoredImage) -> None:
    store, key = replace(strict, is_aws=True), new_key()
    store.put(key, image)
    assert base64.b64decode(head(store, key)["ChecksumSHA256"]).hex() == image.sha256
    with pytest.raises(StorageUnavailable):
        store.put(new_key(), replace(image, sha256="0" * 64))
    assert list(store.keys(now() + SOON)) == [key]


def test_address_opens_one_image_and_nothing_else(strict: S3Store, image: StoredImage) -> None:
    key, other = new_key(), new_key()
    strict.put(key, image)
    strict.put(other, image)
    url = strict.download_url(key)
    signature = parse_qs(urlsplit(url).query)["X-Amz-Signature"][0]
    assert requests.get(url, timeout=60).content == image.content
    assert requests.get(url.replace(key, other), timeout=60).status_code == 403
    assert requests.get(url.replace(signature, "0" * 64), timeout=60).status_code == 403
    assert requests.get(url.replace("X-Amz-Expires=300", "X-Amz-Expires=3600"), timeout=60).status_code == 403
    assert requests.get(url.partition("?")[0] + "?X-Amz-Expires=300", timeout=60).status_code in (400, 403)


def test_address_expires(strict: S3Store, image: StoredImage) -> None:
    key = new_key()
    strict.put(key, image)
    url = strict.download_url(key, seconds=1)
    deadline = time.monotonic() + 60
    while (answer := requests.get(url, timeout=60)).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert answer.status_code == 403
    assert "expired" in answer.text


def test_upload_by_form_arrives_encrypted(strict: S3Store, image: StoredImage) -> None:
    key = new_key()
    form = strict.upload_form(key, "image/png", max_bytes=len(image.content))
    answer = requests.post(form.url, data=form.fields, files={"file": image.content}, timeout=60)
    assert answer.ok
    assert strict.get(key, image.sha256) == image.content
    assert (head(strict, key)["ContentType"], head(strict, key)["ServerSideEncryption"]) == ("image/png", "AES256")


def test_form_refuses_everything_but_what_it_fixes(strict: S3Store) -> None:
    assert post(strict, b"x" * 5000).ok
    assert post(strict, b"x" * 5001).status_code == 400
    assert post(strict, b"").status_code == 400
    assert post(strict, b"x", **{"Content-Type": "text/html"}).status_code == 403
    assert post(strict, b"x", **{"x-amz-server-side-encryption": "aws:kms"}).status_code == 403
    assert post(strict, b"x", key=f"{strict.prefix}{new_key()}").status_code == 403
    assert len(list(strict.keys(now() + SOON))) == 1


@pytest.mark.usefixtures("aws_credentials")
def test_form_is_signed_as_aws_asks() -> None:
    """LocalStack does not check a form's signature.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html
    """
    store = open_image_store("s3://lesions/clinic")
    form = store.upload_form(new_key(), "image/png", max_bytes=5000)
    assert form is not None
    signing_key = b"AWS4" + CREDENTIALS["AWS_SECRET_ACCESS_KEY"].encode()
    for part in form.fields["x-amz-credential"].split("/")[1:]:
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    expected = hmac.digest(signing_key, form.fields["policy"].encode(), "sha256").hex()
    assert form.fields["x-amz-signature"] == expected


def test_wrong_secret_is_told_without_it(
    localstack_url: str, strict: S3Store, image: StoredImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    strict.put(key, image)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "quite-another-secret")
    store = open_image_store(f"s3://{strict.bucket}/{strict.prefix}", localstack_url)
    url = store.download_url(key)
    assert url is not None
    assert requests.get(url, timeout=60).status_code == 403
    assert "quite-another-secret" not in url
