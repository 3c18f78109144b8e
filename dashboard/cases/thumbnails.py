"""Small pictures of stored images for the list of cases: made when first asked for, kept within bounds, in memory only.

A large image takes a third of a second to decode, so that a page of them is not made at once: what is missing is drawn
without a picture, and made while the reader looks at the list.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from uuid import UUID

from PIL import Image

from dashboard.answer.image_table import thumbnail_of
from dashboard.resources import stores
from dashboard.shell.identity import actor
from data.cases.case import Case
from data.cases.log import CaseNotFound
from data.cases.queries import CaseSummary
from data.cases.storage import ImageAltered, ImageMissing, StorageUnavailable

# Seconds that a run of the page may spend on pictures; at least one is made.
AT_ONCE = 0.3


def thumbnails(summaries: Sequence[CaseSummary]) -> dict[UUID, bytes | None]:
    """The pictures of a page of the list that there are; None where an image cannot be shown. The rest is left out."""
    kept = stores.small_pictures()
    return {one.case_id: kept.get(_key(one)) for one in summaries if _key(one) in kept}


def make_missing(summaries: Sequence[CaseSummary]) -> bool:
    """Make some of the pictures that a page of the list lacks; whether any was made."""
    kept, ends = stores.small_pictures(), time.monotonic() + AT_ONCE
    missing = [one for one in summaries if _key(one) not in kept]
    for number, summary in enumerate(missing):
        if number and time.monotonic() > ends:
            break
        kept.put(_key(summary), _made(summary))
    return bool(missing)


def forget(case: Case) -> None:
    """Drop the picture of a case that is no longer there."""
    stores.small_pictures().forget((case.organisation, case.case_id))


def _key(summary: CaseSummary) -> tuple[str, UUID]:
    # Whoever asks is of the organisation that the picture was made for.
    return actor().organisation, summary.case_id


def _made(summary: CaseSummary) -> bytes | None:
    try:
        content = stores.case_log().stored_image(summary.case_id, actor())
    except (ImageMissing, ImageAltered, StorageUnavailable, CaseNotFound):
        return None  # the case itself says what is wrong with its image
    with Image.open(io.BytesIO(content)) as image:
        return thumbnail_of(image)
