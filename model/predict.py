"""Classify image files, folders and S3 prefixes from the command line.

    python -m model.predict lesion.jpg
    python -m model.predict FOLDER --output out.csv --heatmaps heatmaps/ --facts patients.csv
    python -m model.predict s3://bucket/prefix --output out.parquet --processes 4 --resume
    RAY_ADDRESS=head:6379 python -m model.predict s3://bucket/prefix --output out.parquet --engine ray

Writes one row an image, whatever happens to it: a file that cannot be judged is a row with the reason. Exit code 0 if
every image was judged, 1 if some were rejected, 2 for wrong usage, 3 if it was cut short; then --resume goes on from
the rows that are there, which stay as they are.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

from tqdm import tqdm

from model.analysis.analyzer import Analyzer
from model.arguments import add_artifact
from model.batch.challenge import write_challenge
from model.batch.cluster import ClusterFailed, RayMissing, scored_on_ray
from model.batch.facts import FactsTable, FactsUnreadable, read_facts
from model.batch.rows import heatmap_paths, score, score_in_process
from model.batch.sources import Source, SourceUnavailable, copies_in, find_sources
from model.batch.table import Parts, ResumeImpossible, Row, columns_of, left_over, once, rows_of_table
from model.inference.artifact import Artifact, ArtifactMismatch, load_artifact
from model.inference.clinical import NO_FACTS, NO_TERMS, PatientFacts
from model.inference.processes import mapped
from model.inference.runtimes import LiteRTClassifier

MOST_NAMED = 10  # rows of facts that fit no image
EXIT_REJECTED, EXIT_USAGE, EXIT_CUT_SHORT = 1, 2, 3
Known = Mapping[Source, PatientFacts]


def scored(
    sources: Sequence[Source],
    heatmaps: Sequence[Path | None],
    known: Known,
    artifact: Artifact,
    arguments: argparse.Namespace,
) -> Iterator[tuple[Source, Row]]:
    """Each image with its row, with a progress bar; in order, but on Ray as they are finished.

    Args:
        sources: the images.
        heatmaps: where the heatmap of each goes, or None.
        known: facts of those that have any.
        artifact: the model.
        arguments: `engine`, and `processes`: how many, each with a network of its own; one runs in this process.

    Raises:
        SourceUnavailable: a bucket cannot be read.
        BrokenProcessPool: a process has died.
        RayMissing, ClusterFailed: see `model.batch.cluster`.
    """
    run = partial(score_in_process, artifact.folder.absolute())
    facts = [known.get(source, NO_FACTS) for source in sources]
    if arguments.engine == "ray":
        return tqdm(scored_on_ray(run, sources, heatmaps, facts), total=len(sources), unit="image", disable=None)
    if arguments.processes > 1:
        rows = mapped(run, sources, heatmaps, facts, processes=arguments.processes, description="images")
        return zip(sources, rows, strict=True)
    analyzer = Analyzer(LiteRTClassifier(artifact))
    images = zip(sources, heatmaps, facts, strict=True)
    one_by_one = ((source, score(analyzer, source, heatmap, stated)) for source, heatmap, stated in images)
    return tqdm(one_by_one, total=len(sources), unit="image", disable=None)


def print_rows(sources: Sequence[Source], known: Known, artifact: Artifact, arguments: argparse.Namespace) -> list[Row]:
    """Score and write to standard output as rows come; returns them."""
    writer = csv.DictWriter(sys.stdout, columns_of(artifact.task))
    writer.writeheader()
    rows = []
    for _, row in scored(sources, heatmap_paths(sources, arguments.heatmaps), known, artifact, arguments):
        writer.writerow(row)
        rows.append(row)
    return rows


def write_rows(sources: Sequence[Source], known: Known, artifact: Artifact, arguments: argparse.Namespace) -> list[Row]:
    """Score what is not done yet and write the table; returns the rows of `sources`."""
    output: Path = arguments.output.resolve()
    if output.exists() and not output.is_file():
        raise FileExistsError(f"expected a file to write, {output} is something else")
    earlier = rows_of_table(output, sources, artifact.task) if arguments.resume else []
    if earlier and arguments.facts is not None:
        raise ResumeImpossible(
            f"expected no finished table to go on from with --facts, found {output}, which does not say what its rows "
            "took into account; leave --resume out, or name another output"
        )
    with Parts(output, artifact, arguments.facts, arguments.resume) as parts:
        done = [*parts.done().values(), *earlier]
        heatmaps = dict(zip(sources, heatmap_paths(sources, arguments.heatmaps), strict=True))
        left = list(left_over(sources, done))
        scored_now = []
        for source, row in scored(left, [heatmaps[source] for source in left], known, artifact, arguments):
            parts.add(source, row)
            scored_now.append(row)
        parts.finish(sources, earlier)
    return [*done, *scored_now]


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.resume and arguments.output is None:
        return _end(EXIT_USAGE, "expected --output with --resume, received none; name the table")
    try:
        sources = once(find_sources(arguments.paths))
        if not sources:
            raise FileNotFoundError("expected at least one image, the folders hold none")
        copies = copies_in(arguments.paths)
        if copies:
            print(f"passed over {len(copies)} copies that are no images, such as {copies[0].name}", file=sys.stderr)
        facts = FactsTable({}, ()) if arguments.facts is None else read_facts(arguments.facts, sources)
    except (OSError, SourceUnavailable, FactsUnreadable) as error:
        return _end(EXIT_USAGE, error)
    known = facts.by_image
    if facts.unused:
        print(_unused(facts), file=sys.stderr)
    try:
        artifact = load_artifact(arguments.artifact)
        if arguments.challenge is not None and artifact.task.is_ordinal:
            return _end(EXIT_USAGE, "expected no --challenge with a model of grades: its decision is no highest score")
        if arguments.heatmaps is not None:
            arguments.heatmaps.mkdir(parents=True, exist_ok=True)
        rows = (write_rows if arguments.output else print_rows)(sources, known, artifact, arguments)
    except (OSError, ArtifactMismatch, ResumeImpossible, RayMissing) as error:
        return _end(EXIT_USAGE, error)
    except (SourceUnavailable, BrokenProcessPool, ClusterFailed) as error:
        return _end(EXIT_CUT_SHORT, f"{error}; run it again with --resume to go on")
    rejected = sum(row["quality"] != "ok" for row in rows)
    print(f"{len(rows)} images, {rejected} rejected", file=sys.stderr)
    if arguments.challenge is not None:
        write_challenge(arguments.challenge, rows, artifact)
    if arguments.facts is not None:
        print(_use_of_facts(sources, known, artifact), file=sys.stderr)
    return EXIT_REJECTED if rejected else 0


def _use_of_facts(sources: Sequence[Source], known: Known, artifact: Artifact) -> str:
    if artifact.clinical == NO_TERMS:
        return "this model takes no facts into account"
    return f"facts given for {len(known)} of {len(sources)} images"


def _unused(facts: FactsTable) -> str:
    named = [f"{name} (line {line})" for name, line in facts.unused[:MOST_NAMED]]
    more = len(facts.unused) - len(named)
    rows = "1 row of facts fits" if len(facts.unused) == 1 else f"{len(facts.unused)} rows of facts fit"
    return f"{rows} no image: {', '.join(named)}{f' and {more} more' if more else ''}"


def _end(code: int, reason: object) -> int:
    print(f"model.predict: {reason}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="image files, folders and s3://bucket/prefix")
    parser.add_argument("--output", type=Path, help="CSV or .parquet file to write; default: standard output, as CSV")
    parser.add_argument("--heatmaps", type=Path, help="folder for one overlay and one array an image")
    parser.add_argument(
        "--challenge",
        type=Path,
        metavar="FILE",
        help="also write the scores behind `prediction` as the ISIC challenge's scorer reads them",
    )
    parser.add_argument("--facts", type=Path, help="CSV table: image, and age, site or both")
    add_artifact(parser)
    parser.add_argument("--processes", type=_count, default=1, help="how many images at once; default: 1")
    parser.add_argument("--engine", choices=["local", "ray"], default="local", help="ray: on a Ray cluster")
    parser.add_argument("--resume", action="store_true", help="leave out the images that OUTPUT has already")
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a number from 1, received {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
