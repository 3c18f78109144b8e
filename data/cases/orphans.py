"""Images that no case names: set aside first, removed a month later.

A save or a delete that was cut short leaves one. So does an older copy of the database that was put back, whose later
images must not be lost: they stay in quarantine for 30 days, come back once a row names them again, and many at once
are not touched at all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from data.cases.stores.folder import ImageMissing, ImageStore

KEPT_ASIDE = timedelta(days=30)
# A save that is cut short leaves one; a day without the database, when many press Save again and again, some dozens.
MOST_ORPHANS = 50
_AT_ONCE = 200  # keys looked up in one go

# Which of some image keys are named by cases.
Named = Callable[[list[str]], set[str]]


class TooManyOrphans(Exception):
    """More images than a few are named by no case, as after an older copy of the database was put back."""


@dataclass(frozen=True)
class Swept:
    """What a sweep did: images put into quarantine, back from it, and removed after their time in it."""

    set_aside: int
    put_back: int
    removed: int


def sweep(
    images: ImageStore, is_own: Callable[[str], bool], named: Named, older_than: timedelta, most: int | None
) -> Swept:
    """Set aside what no case names, put back what one names again, and remove what has lain aside for its time.

    Args:
        images: the store.
        is_own: whether a key is of this log; images of another log in the same store are never touched.
        named: which keys the cases name.
        older_than: what is younger may belong to a save under way.
        most: how many images may be set aside at once; None for any number.

    Raises:
        TooManyOrphans: there are more, and none was touched.
        StorageUnavailable: the store does not answer; what was moved until then stays so.
    """
    now, aside = datetime.now(UTC), images.quarantine
    back = [key for key in _split(aside.keys(now), is_own, named)[0] if _is_moved(aside, key, images)]
    orphans = _split(images.keys(now - older_than), is_own, named)[1]
    if most is not None and len(orphans) > most:
        raise TooManyOrphans(
            f"expected at most {most} images that no case names, received {len(orphans)}, so none was set aside. If an "
            "older copy of the database was put back, put the newest one back; if not, run python -m data.case_log "
            "sweep --any-number"
        )
    moved = [key for key in orphans if _is_moved(images, key, aside)]
    old = _split(aside.keys(now - KEPT_ASIDE), is_own, named)[1]
    for key in old:
        aside.delete(key)
    return Swept(len(moved), len(back), len(old))


def _split(keys: Iterable[str], is_own: Callable[[str], bool], named: Named) -> tuple[list[str], list[str]]:
    """Which of the keys of this log a case names, and which none does."""
    kept: list[str] = []
    orphans: list[str] = []
    for some in _batches(key for key in keys if is_own(key)):
        known = named(some)
        kept += [key for key in some if key in known]
        orphans += [key for key in some if key not in known]
    return kept, orphans


def _batches(keys: Iterator[str]) -> Iterator[list[str]]:
    while some := list(islice(keys, _AT_ONCE)):
        yield some


def _is_moved(store: ImageStore, key: str, to: ImageStore) -> bool:
    with contextlib.suppress(ImageMissing):  # the rest of an unfinished write, or another process was first
        store.move(key, to)
        return True
    return False
