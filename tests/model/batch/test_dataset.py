"""A dataset in a folder and the same in a bucket: the table, the images, and what is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from data.datasets.ham10000 import METADATA_FILE, DatasetError, load_metadata
from data.tasks.skin import SKIN
from model.batch import sources
from model.batch.dataset import image_content, metadata_of
from model.batch.sources import SourceUnavailable
from tests.support.dashboard import write_dataset
from tests.support.servers.s3_server import make_bucket

pytest_plugins = ("tests.support.servers.s3_server",)


@pytest.fixture
def place(moto_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A dataset below a prefix of a bucket; the same lies in the folder `data`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto_url)
    sources._client.cache_clear()
    folder, bucket = write_dataset(tmp_path / "data"), make_bucket(moto_url)
    client = boto3.client("s3", endpoint_url=moto_url)
    for path in (folder / METADATA_FILE, *(folder / "images").iterdir()):
        client.put_object(Bucket=bucket, Key=f"skin/ham/{path.relative_to(folder).as_posix()}", Body=path.read_bytes())
    yield f"s3://{bucket}/skin/ham"
    sources._client.cache_clear()


def test_table_and_images_are_those_of_the_folder(place: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for where in (folder, place, f"{place}/"):
        assert metadata_of(where, SKIN.codes).equals(load_metadata(folder))
        assert image_content(where, "ISIC_0000003") == (folder / "images" / "ISIC_0000003.jpg").read_bytes()
        for missing in ("ISIC_0000029", "nothing", "../data/images/ISIC_0000003"):
            assert image_content(where, missing) is None


def test_a_bucket_without_a_table_says_what_was_expected(place: str) -> None:
    with pytest.raises(DatasetError, match=f"expected {METADATA_FILE} below .*/elsewhere, found none"):
        metadata_of(f"{place}/elsewhere", SKIN.codes)


def test_a_bucket_that_is_not_there_is_an_error_of_the_dataset(place: str) -> None:
    with pytest.raises(DatasetError, match="NoSuchBucket"):
        metadata_of("s3://no-such-bucket-at-all/ham", SKIN.codes)
    with pytest.raises(SourceUnavailable):
        image_content("s3://no-such-bucket-at-all/ham", "ISIC_0000003")
