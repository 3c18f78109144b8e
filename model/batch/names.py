"""Which image of a batch a name in a table means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from data.datasets.tables import comparable
from model.batch.sources import Source, source_of
from model.batch.table import source_text, valid_text


class ImageNames:
    """Images by file name, by file name without ending, and by path, as tables beside them name them.

    Names are the same in any case, with either slash, and whichever way their accents are encoded.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._by_key: dict[tuple[str, str], list[tuple[str, Source]]] = defaultdict(list)
        for source in sources:
            for kind, text in (("name", source.name), ("stem", source.stem), ("path", source_text(source))):
                spelled = valid_text(text)
                self._by_key[kind, _folded(spelled)].append((spelled, source))

    def named(self, name: str) -> Sequence[Source]:
        """The images that a name fits; of several, those that are spelled alike, if there are any."""
        path = source_text(source_of(name.replace("\\", "/")))
        for kind, text in (("name", name), ("stem", name), ("path", path)):
            fitting = self._by_key.get((kind, _folded(text)), [])
            if fitting:
                return [source for spelled, source in fitting if spelled == text] or [source for _, source in fitting]
        return []


def _folded(name: str) -> str:
    return comparable(name).replace("\\", "/")
