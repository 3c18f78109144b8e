"""Images of saved cases in a bucket of S3, or of a store that speaks like it.

`model.batch.sources` reads images of other people's buckets; nothing else speaks S3.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from data.cases.case import StoredImage
from data.cases.stores.calls import Redirected, refuse_redirects, seconds_for, within
from data.cases.stores.folder import (
    QUARANTINE,
    ImageAltered,
    ImageMissing,
    StorageUnavailable,
    UploadForm,
    check_key,
    checked,
    is_key,
    missing,
)

if TYPE_CHECKING:  # boto3 costs 0.2 s to import and botocore is of no use to a folder
    from botocore.client import BaseClient

_CONTENT_TYPE = "image/png"
# As `IMAGE_STORE_ENCRYPTION` names them; a store without keys of its own (MinIO without KMS) takes none.
ENCRYPTIONS: tuple[str, ...] = ("AES256", "aws:kms", "none")
_CONNECT_SECONDS = 3
_READ_SECONDS = 10
_ATTEMPTS = 2
# An hour at most: whoever holds a presigned URL needs no sign-in.
MAX_URL_SECONDS = 3600
_MISSING = ("NoSuchKey", "404")
# Older than the program: no time at which one of its images was written.
_FIRST_TIME = datetime(2020, 1, 1, tzinfo=UTC)
_ENCRYPTION_ADVICE = (
    "the endpoint may not know the server-side encryption that every image asks for; set IMAGE_STORE_ENCRYPTION=none "
    "where the store encrypts by itself"
)
_REDIRECT_ADVICE = "the bucket lies elsewhere: correct AWS_REGION or IMAGE_STORE_ENDPOINT"
_ADVICE = {
    "NoSuchBucket": "create the bucket, or correct IMAGE_STORE",
    "AccessDenied": "let the credentials put, get, delete and list under the prefix",
    "403": "let the credentials put, get, delete and list under the prefix",
    "InvalidAccessKeyId": "check the AWS credentials",
    "SignatureDoesNotMatch": "check the AWS credentials, and the clock of this machine",
    "ExpiredToken": "renew the AWS credentials",
    "InvalidArgument": _ENCRYPTION_ADVICE,
    "NotImplemented": _ENCRYPTION_ADVICE,
    **dict.fromkeys(("PermanentRedirect", "TemporaryRedirect", "301", "302", "303", "307", "308"), _REDIRECT_ADVICE),
}
# What reading an answer ends in that is none of S3's.
_GARBLED = (KeyError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True)
class S3Store:
    """Images as encrypted objects under a prefix of one bucket.

    A bucket with versioning keeps what is deleted here: give it a lifecycle rule that ends old versions.

    Attributes:
        client: boto3's, for S3.
        prefix: empty, or ends with a slash.
        is_aws: whether the endpoint is AWS's own and so takes its checksum headers; Google's refuses them.
        encryption: one of `ENCRYPTIONS`, which every upload asks for.
    """

    client: BaseClient
    bucket: str
    prefix: str
    is_aws: bool
    encryption: str = "AES256"

    @property
    def quarantine(self) -> S3Store:
        return replace(self, prefix=f"{self.prefix}{QUARANTINE}/")

    def put(self, key: str, image: StoredImage) -> None:
        name = self._name(key)
        digest = base64.b64encode(bytes.fromhex(image.sha256)).decode()
        with self._failures("keep"):
            within(
                seconds_for(len(image.content)),
                lambda: self.client.put_object(
                    Bucket=self.bucket,
                    Key=name,
                    Body=image.content,
                    ContentType=_CONTENT_TYPE,
                    Metadata={"sha256": image.sha256},
                    **({} if self.encryption == "none" else {"ServerSideEncryption": self.encryption}),
                    **({"ChecksumSHA256": digest} if self.is_aws else {}),
                ),
            )
        self._check_kept(key, image)

    def _check_kept(self, key: str, image: StoredImage) -> None:
        """An answer that says 200 is no proof: the image counts as kept once it has come back."""
        try:
            self.get(key, image.sha256)
        except (ImageMissing, ImageAltered) as error:
            raise StorageUnavailable(
                f"expected the bucket {self.bucket} to keep an image, received success for one that it does not give "
                "back; check the store, then try again"
            ) from error

    def get(self, key: str, sha256: str) -> bytes:
        name = self._name(key)
        with self._failures("give", key):
            content = self._content(name)
        return checked(content, key, sha256)

    def _content(self, name: str) -> bytes:
        answer = within(seconds_for(), lambda: self.client.get_object(Bucket=self.bucket, Key=name))
        return within(seconds_for(answer["ContentLength"]), answer["Body"].read)

    def delete(self, key: str) -> None:
        name = self._name(key)
        with self._failures("delete"):
            within(seconds_for(), lambda: self.client.delete_object(Bucket=self.bucket, Key=name))

    def keys(self, older_than: datetime) -> Iterator[str]:
        paginator = self.client.get_paginator("list_objects_v2")
        pages = iter(paginator.paginate(Bucket=self.bucket, Prefix=self.prefix, Delimiter="/"))
        with self._failures("list"):
            while (page := within(seconds_for(), lambda: next(pages, None))) is not None:
                page["IsTruncated"]  # which every list says: a page for people is no empty store
                for entry in page.get("Contents", ()):
                    key = entry["Key"].removeprefix(self.prefix)
                    if is_key(key) and _is_between(_FIRST_TIME, entry.get("LastModified"), older_than):
                        yield key

    def move(self, key: str, to: S3Store) -> None:
        name = self._name(key)
        with self._failures("move", key):
            content = self._content(name)
        to.put(key, StoredImage(content, hashlib.sha256(content).hexdigest(), width=0, height=0))
        self.delete(key)

    def download_url(self, key: str, seconds: int = 300) -> str:
        _check_seconds(seconds)
        parameters = {
            "Bucket": self.bucket,
            "Key": self._name(key),
            "ResponseContentType": _CONTENT_TYPE,
            "ResponseContentDisposition": f'attachment; filename="{key}"',
        }
        with self._failures("sign a download of"):
            return self.client.generate_presigned_url(
                "get_object", Params=parameters, ExpiresIn=seconds, HttpMethod="GET"
            )

    def upload_form(self, key: str, content_type: str, max_bytes: int, seconds: int = 300) -> UploadForm:
        fixed = {"Content-Type": content_type}
        if self.encryption != "none":
            fixed["x-amz-server-side-encryption"] = self.encryption
        conditions = [*({name: value} for name, value in fixed.items()), ["content-length-range", 1, max_bytes]]
        name = self._name(key)
        self.download_url(key, seconds)  # names missing credentials, where the form ends in botocore's AttributeError
        with self._failures("sign an upload of"):
            form = self.client.generate_presigned_post(
                self.bucket, name, Fields=fixed, Conditions=conditions, ExpiresIn=seconds
            )
        return UploadForm(form["url"], form["fields"])

    def _name(self, key: str) -> str:
        return self.prefix + check_key(key)

    @contextlib.contextmanager
    def _failures(self, verb: str, key: str = "") -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        try:
            yield
        except Redirected as error:
            raise self._unavailable(verb, "a redirect", _REDIRECT_ADVICE) from error
        except TimeoutError as error:
            raise self._unavailable(verb, "no whole answer in time", "check the store, then try again") from error
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if key and code in _MISSING:
                raise missing(key) from error
            raise self._unavailable(verb, code, _ADVICE.get(code, "try again later")) from error
        except BotoCoreError as error:
            advice = "check the network, the endpoint and the AWS credentials, then try again"
            raise self._unavailable(verb, type(error).__name__, advice) from error
        except (ResponseParserError, *_GARBLED) as error:
            advice = "check that IMAGE_STORE_ENDPOINT is the address of an S3-compatible store"
            raise self._unavailable(verb, "an answer that is none of S3's", advice) from error

    def _unavailable(self, verb: str, cause: str, advice: str) -> StorageUnavailable:
        # The error's own text may hold addresses and account names: only its kind is passed on.
        return StorageUnavailable(f"expected the bucket {self.bucket} to {verb} images, received {cause}; {advice}")


def s3_client(endpoint_url: str | None) -> Any:
    """boto3's client for S3, with limits of time; credentials and region come from boto3's own chain."""
    import boto3
    from botocore.config import Config

    # A session of its own: the shared one is not safe between threads.
    client = boto3.Session().client(
        "s3",
        endpoint_url=endpoint_url,
        config=Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            signature_version="s3v4",
            # The SHA-256 of what is sent is part of the signature, so every store checks what arrives, and boto3's own
            # checksums are not needed. Google Cloud Storage refuses those: github.com/boto/boto3/issues/4400
            s3={"payload_signing_enabled": True},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    refuse_redirects(client)
    return client


def _check_seconds(seconds: int) -> None:
    if not 1 <= seconds <= MAX_URL_SECONDS:
        raise ValueError(f"expected a URL to live from 1 to {MAX_URL_SECONDS} seconds, received {seconds}")


def _is_between(first: datetime, written: object, than: datetime) -> bool:
    """Whether a time is one, and in between; of an image whose time is wrong or missing nobody knows the age."""
    return isinstance(written, datetime) and written.tzinfo is not None and first <= written < than
