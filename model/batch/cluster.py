"""A batch on a Ray cluster, for when one machine is not enough; optional, see requirements-ray.txt.

Every machine of the cluster needs this program and the weights at the same paths, and reaches the images: give `s3://`
addresses or a shared folder, and for heatmaps a shared one as well. Images go out in tasks; when a worker dies its task
runs again on another one, and no row comes twice, since a task's rows come when it is done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from model.batch.sources import Source, source_of
from model.batch.table import Row
from model.inference.clinical import PatientFacts

# What a worker that dies has to do again; a second of one core, about.
TASK_IMAGES = 32
_INDEX, _PLACE, _HEATMAP, _AGE, _SITE = "index", "place", "heatmap", "age", "site"
Run = Callable[[Source, Path | None, PatientFacts], Row]


class RayMissing(Exception):
    """Ray is not installed."""


class ClusterFailed(Exception):
    """The cluster cannot be reached or gave up; rows that came before are kept."""


def scored_on_ray(
    run: Run, sources: Sequence[Source], heatmaps: Sequence[Path | None], facts: Sequence[PatientFacts]
) -> Iterator[tuple[Source, Row]]:
    """A row an image, as they are finished.

    Args:
        run: scores one image; it must be picklable.
        sources: the images.
        heatmaps: where the heatmap of each goes, or None.
        facts: what is known of the patient of each.

    Raises:
        RayMissing: at once.
        ClusterFailed: while rows come.
    """
    try:
        import ray.data
    except ImportError as error:
        raise RayMissing(
            "expected Ray with --engine ray, found none; run: pip install -r requirements-ray.txt"
        ) from error
    items = [_item(index, *one) for index, one in enumerate(zip(sources, heatmaps, facts, strict=True))]
    return _rows(ray, run, sources, items)


def _rows(
    ray: Any, run: Run, sources: Sequence[Source], items: Sequence[dict[str, Any]]
) -> Iterator[tuple[Source, Row]]:
    def score(item: dict[str, Any]) -> dict[str, Any]:
        heatmap = Path(os.fsdecode(item[_HEATMAP])) if item[_HEATMAP] else None
        facts = PatientFacts(float(item[_AGE]) if item[_AGE] else None, item[_SITE])
        return {_INDEX: item[_INDEX], **run(source_of(os.fsdecode(item[_PLACE])), heatmap, facts)}

    try:
        if not ray.is_initialized():
            # Ray reports how it is used to its makers unless told not to.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            # RAY_ADDRESS names a cluster; without it, one on this machine.
            ray.init(log_to_driver=False, include_dashboard=False)
        tasks = -(-len(items) // TASK_IMAGES)
        for row in ray.data.from_items(items, override_num_blocks=tasks).map(score).iter_rows():
            yield sources[row[_INDEX]], {name: value for name, value in row.items() if name != _INDEX}
    except (ray.exceptions.RayError, ConnectionError) as error:
        raise ClusterFailed(
            f"expected the Ray cluster to finish, received {type(error).__name__}; see its logs"
        ) from error


def _item(index: int, source: Source, heatmap: Path | None, facts: PatientFacts) -> dict[str, Any]:
    """Names as bytes: those of files need not be valid text. The age as text: in a column, none would become NaN."""
    place = str(source.absolute()) if isinstance(source, Path) else str(source)
    return {
        _INDEX: index,
        _PLACE: os.fsencode(place),
        _HEATMAP: b"" if heatmap is None else os.fsencode(heatmap.absolute()),
        _AGE: "" if facts.age is None else str(facts.age),
        _SITE: facts.site,
    }
