"""Many images to one table, in parts: a run that is killed loses at most one part, and another one goes on from there.

While a batch runs its rows lie in `OUTPUT.parts/`, each part written whole or not at all. At the end they become
OUTPUT, in the order of the images, and the folder goes.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from data.tasks.task import Task
from model.batch.sources import Source
from model.inference.artifact import Artifact, sha256_of

Row = dict[str, str]
# Full path or address: file names alone may repeat. In parts and in Parquet; a CSV table does not have it.
SOURCE = "source"
# Ten seconds of one core, about.
PART_ROWS = 250


def columns_of(task: Task) -> tuple[str, ...]:
    """Columns of a table of answers, for example `p_malignant` for the probability of the task's question."""
    answer = (*task.codes, "prediction", task.question.column, "conformal_set")
    return ("image", *answer, "quality", "ood_score", "runtime_ms")


def numbers_of(task: Task) -> tuple[str, ...]:
    """Those of the columns that hold numbers."""
    return (*task.codes, task.question.column, "ood_score", "runtime_ms")


class ResumeImpossible(Exception):
    """What lies there does not say which images are done; the message says what to do."""


class Parts:
    """The rows of a batch on their way to a table.

    Used as a context: whatever ends it, the rows so far are written.
    """

    def __init__(self, output: Path, artifact: Artifact, facts: Path | None, is_resumed: bool) -> None:
        """Makes the folder of the parts; without `is_resumed` it removes those of an earlier run.

        Args:
            output: the table they become.
            artifact: the model.
            facts: the table of facts that the rows take into account, see `model.batch.facts`.
            is_resumed: whether rows of an earlier run count.

        Raises:
            OSError: the folder cannot be made.
            ResumeImpossible: parts of another model or other facts.
        """
        self._output = output
        self._task = artifact.task
        self._folder = output.with_name(f"{output.name}.parts")
        self._made_of = artifact.weights_sha256[:12] + ("" if facts is None else f"-{sha256_of(facts)[:12]}")
        self._folder.mkdir(exist_ok=True)
        if is_resumed:
            self._check_parts()
        else:
            self._remove_parts()
        self._number = len(self._paths())
        self._waiting: list[Row] = []

    def done(self) -> dict[str, Row]:
        """Rows of earlier parts by source."""
        return {row[SOURCE]: row for path in self._paths() for row in _read_csv(path)}

    def add(self, source: Source, row: Row) -> None:
        """Keep one row."""
        self._waiting.append({SOURCE: source_text(source), **row})
        if len(self._waiting) == PART_ROWS:
            self._write_part()

    def finish(self, sources: Sequence[Source], earlier: Sequence[Row]) -> None:
        """Make the table of all parts, in the order of `sources`, after `earlier` rows whose images are not among them.

        Raises:
            OSError: it cannot be written; the parts stay.
        """
        self._write_part()
        done = self.done() | {row[SOURCE]: row for row in earlier}
        ordered = [done.pop(source_text(source)) for source in sources]
        write_table(self._output, [*done.values(), *ordered], self._task)
        self._remove_parts()
        self._folder.rmdir()

    def __enter__(self) -> Parts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._write_part()
            with suppress(OSError):  # where nothing is kept, nothing stays
                self._folder.rmdir()

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("part-*.csv"))

    def _write_part(self) -> None:
        if not self._waiting:
            return
        self._number += 1
        path = self._folder / f"part-{self._number:06}-{self._made_of}.csv"
        _write_csv(path, (SOURCE, *columns_of(self._task)), self._waiting)
        self._waiting = []

    def _remove_parts(self) -> None:
        for path in self._paths():
            path.unlink()

    def _check_parts(self) -> None:
        if any(not path.stem.endswith(f"-{self._made_of}") for path in self._paths()):
            raise ResumeImpossible(
                f"expected parts of this model and these facts in {self._folder}, found some of another; "
                "run without --resume"
            )


def rows_of_table(output: Path, sources: Sequence[Source], task: Task) -> list[Row]:
    """The rows of a finished table with their sources; none where there is no table.

    A CSV table has file names only, so it can be gone on with where each of them is there once.

    Raises:
        ResumeImpossible: it has not, or the file is no table of ours.
    """
    if not output.exists():
        return []
    rows = _read_parquet(output) if is_parquet(output) else _read_csv(output)
    columns = columns_of(task)
    expected = {SOURCE, *columns} if is_parquet(output) else set(columns)
    if rows and set(rows[0]) != expected:
        raise ResumeImpossible(f"expected a table of model.predict in {output}, found another; name another output")
    return rows if is_parquet(output) else _with_sources(rows, sources, output)


def write_table(output: Path, rows: Sequence[Row], task: Task) -> None:
    """Write a table whole or not at all: Parquet where the name ends with .parquet, else CSV."""
    if is_parquet(output):
        _write_parquet(output, rows, task)
    else:
        columns = columns_of(task)
        _write_csv(output, columns, ({name: row[name] for name in columns} for row in rows))


def is_parquet(output: Path) -> bool:
    return output.suffix.lower() == ".parquet"


def once(sources: Sequence[Source]) -> list[Source]:
    """Sources without those named twice, in order."""
    return list({source_text(source): source for source in sources}.values())


def left_over(sources: Sequence[Source], done: Iterable[Row]) -> Iterator[Source]:
    """Sources without a row."""
    names = {row[SOURCE] for row in done}
    return (source for source in sources if source_text(source) not in names)


def _with_sources(rows: list[Row], sources: Sequence[Source], output: Path) -> list[Row]:
    names = [valid_text(source.name) for source in sources]
    if len(set(names)) < len(names) or len({row["image"] for row in rows}) < len(rows):
        raise ResumeImpossible(
            f"expected every file name once to go on with {output}, found some twice; "
            "use a .parquet table, which holds whole paths, or run without --resume"
        )
    by_name = {name: source_text(source) for name, source in zip(names, sources, strict=True)}
    return [{SOURCE: by_name.get(row["image"], row["image"]), **row} for row in rows]


def valid_text(name: str) -> str:
    """A file name that is no valid text could not be written to a table; its bytes are, readably."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def source_text(source: Source) -> str:
    """Full path or address of a source."""
    return valid_text(str(source) if not isinstance(source, Path) else str(source.absolute()))


def _read_csv(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    part = _unfinished(path)
    try:
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink()


def _read_parquet(path: Path) -> list[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise ResumeImpossible(f"expected a Parquet file in {path}, found another; name another output") from error
    return [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]


def _write_parquet(path: Path, rows: Sequence[Row], task: Task) -> None:
    import pyarrow
    from pyarrow import parquet

    numbers = numbers_of(task)

    def column(name: str) -> Any:
        if name in numbers:
            return pyarrow.array([float(row[name]) if row[name] else None for row in rows], pyarrow.float64())
        return pyarrow.array([row[name] or None for row in rows], pyarrow.string())

    part = _unfinished(path)
    try:
        parquet.write_table(pyarrow.table({name: column(name) for name in (SOURCE, *columns_of(task))}), part)
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink()


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{path.name}.unfinished")
