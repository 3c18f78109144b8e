"""Batches: parts and resuming, Parquet, several processes, buckets. Tables are those of the command line."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import boto3
import pytest
from PIL import Image
from pyarrow import parquet

from data.cases.stores import calls
from data.tasks.skin import SKIN
from model import predict
from model.analysis.analyzer import Analyzer
from model.batch import sources as batch_sources
from model.batch.rows import score
from model.batch.sources import S3Object, Source, SourceUnavailable, find_sources, read_source
from model.batch.table import SOURCE, Row, columns_of, numbers_of
from model.bench import Throughput, measure_batch, print_throughputs
from model.images.rejection import MAX_BYTES
from model.inference.artifact import DEFAULT_ARTIFACT, Artifact, load_artifact
from model.inference.clinical import PatientFacts
from model.inference.runtimes import LiteRTClassifier
from model.predict import main
from tests.support.servers.misbehaving import Request, store_that
from tests.support.servers.s3_server import make_bucket

pytest_plugins = ("tests.support.servers.s3_server",)

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = sorted((ROOT / "data" / "sample").glob("*.jpg"))[:4]
WAIT_SECONDS = 60  # other work may share the processors
Done = list[str]
COLUMNS = columns_of(SKIN)
NUMBERS = numbers_of(SKIN)


def fill(folder: Path, *names: str) -> Path:
    """A folder with a sample under each name."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(SAMPLES[number % len(SAMPLES)].read_bytes())
    return folder


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def table(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def without_time(rows: Sequence[Row]) -> list[Row]:
    return [{**row, "runtime_ms": ""} for row in rows]


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return load_artifact(DEFAULT_ARTIFACT)


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Done:
    """Names of the images that were really analysed, in order."""
    names: Done = []
    score = predict.score

    def recording_score(analyzer: Analyzer, source: Source, heatmap: Path | None, facts: PatientFacts) -> Row:
        row = score(analyzer, source, heatmap, facts)
        names.append(source.name)
        return row

    monkeypatch.setattr(predict, "score", recording_score)
    return names


@pytest.fixture
def cut_short_after_3() -> Iterator[pytest.MonkeyPatch]:
    """Parts of two rows, and a bucket that goes away at the fourth image; undone by `undo`."""
    calls: list[Source] = []
    score = predict.score

    def failing_score(analyzer: Analyzer, source: Source, heatmap: Path | None, facts: PatientFacts) -> Row:
        calls.append(source)
        if len(calls) == 4:
            raise SourceUnavailable("expected a bucket, it has gone")
        return score(analyzer, source, heatmap, facts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.batch.table.PART_ROWS", 2)
        patch.setattr(predict, "score", failing_score)
        yield patch


# Parts and resuming


@pytest.mark.parametrize("output", ["out.csv", "out.parquet"])
def test_batch_cut_short_goes_on_where_it_was(
    output: str, cut_short_after_3: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fill(tmp_path / "in", "a.jpg", "b.jpg", "deep/a.jpg", "deep/c.jpg", "deep/d.jpg")
    assert run(folder, "--output", tmp_path / output) == 3
    assert "expected a bucket, it has gone; run it again with --resume" in capsys.readouterr().err
    assert not (tmp_path / output).exists()
    cut_short_after_3.undo()
    with pytest.MonkeyPatch.context() as patch:
        names: Done = []
        score = predict.score
        patch.setattr(predict, "score", lambda *one: names.append(one[1].name) or score(*one))
        assert run(folder, "--output", tmp_path / output, "--resume") == 0
    assert names == ["c.jpg", "d.jpg"]
    rows = parquet.read_table(tmp_path / output).to_pylist() if "parquet" in output else table(tmp_path / output)
    assert [row["image"] for row in rows] == ["a.jpg", "b.jpg", "a.jpg", "c.jpg", "d.jpg"]
    assert "5 images, 0 rejected" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", output]


def test_without_resume_a_batch_begins_again(
    cut_short_after_3: pytest.MonkeyPatch, scored: Done, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "in", "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    assert run(folder, "--output", tmp_path / "out.csv") == 3
    cut_short_after_3.undo()
    assert run(folder, "--output", tmp_path / "out.csv") == 0
    assert len(table(tmp_path / "out.csv")) == 4
    assert not (tmp_path / "out.csv.parts").exists()


@pytest.mark.parametrize("output", ["out.csv", "out.parquet"])
def test_finished_table_is_gone_on_with(output: str, scored: Done, tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "a.jpg", "c.jpg")
    (tmp_path / "in" / "bad.jpg").write_text("no image")
    assert run(folder, "--output", tmp_path / output) == 1
    fill(folder, "b.jpg")
    assert run(folder, "--output", tmp_path / output, "--resume") == 1
    assert scored == ["a.jpg", "bad.jpg", "c.jpg", "b.jpg"]
    rows = parquet.read_table(tmp_path / output).to_pylist() if "parquet" in output else table(tmp_path / output)
    assert [row["image"] for row in rows] == ["a.jpg", "b.jpg", "bad.jpg", "c.jpg"]


def test_rows_of_images_that_are_not_asked_for_again_stay(scored: Done, tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "a.jpg", "b.jpg")
    output = tmp_path / "out.csv"
    assert run(folder / "b.jpg", "--output", output) == 0
    assert run(folder / "a.jpg", "--output", output, "--resume") == 0
    assert [row["image"] for row in table(output)] == ["b.jpg", "a.jpg"]


def test_csv_table_with_one_name_twice_cannot_be_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fill(tmp_path / "in", "x/a.jpg", "y/a.jpg")
    output = tmp_path / "out.csv"
    assert run(folder, "--output", output) == 0
    before = output.read_bytes()
    assert run(folder, "--output", output, "--resume") == 2
    assert "use a .parquet table" in capsys.readouterr().err
    assert output.read_bytes() == before


def test_parts_of_another_model_are_not_mixed_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fill(tmp_path / "in", "a.jpg")
    (tmp_path / "out.csv.parts").mkdir()
    (tmp_path / "out.csv.parts" / "part-000001-0123456789ab.csv").write_text("source,image\n")
    assert run(folder, "--output", tmp_path / "out.csv", "--resume") == 2
    assert "some of another" in capsys.readouterr().err


@pytest.mark.parametrize(("output", "content"), [("t.csv", "name,age\nx,1\n"), ("t.parquet", "no Parquet")])
def test_another_table_is_left_alone(
    output: str, content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / output).write_text(content)
    assert run(fill(tmp_path / "in", "a.jpg"), "--output", tmp_path / output, "--resume") == 2
    assert "name another output" in capsys.readouterr().err
    assert (tmp_path / output).read_text() == content


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--resume"], "expected --output with --resume"), (["--output", "{folder}"], "expected a file to write")],
)
def test_wrong_usage_is_exit_code_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fill(tmp_path / "in", "a.jpg")
    assert run(folder, *(argument.format(folder=folder) for argument in arguments)) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("count", ["0", "-1", "two"])
def test_number_of_processes_is_a_number(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["a.jpg", "--processes", count])
    assert "expected a number from 1" in capsys.readouterr().err


def test_killed_batch_keeps_its_parts(tmp_path: Path) -> None:
    """A real process, killed in the middle; what it wrote is used, and every image has one row in the end."""
    names = [f"{number:03}.jpg" for number in range(60)]
    folder = fill(tmp_path / "in", *names)
    output, parts = tmp_path / "out.csv", tmp_path / "out.csv.parts"
    code = (
        "import sys, model.batch.table, model.predict; "
        "model.batch.table.PART_ROWS = 2; model.predict.main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, str(folder), "--output", str(output)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    until = time.monotonic() + WAIT_SECONDS
    while len(list(parts.glob("part-*.csv"))) < 3:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = [row["image"] for path in sorted(parts.glob("part-*.csv")) for row in table(path)]
    assert kept == names[: len(kept)]
    assert run(folder, "--output", output, "--resume") == 0
    assert [row["image"] for row in table(output)] == names
    assert not parts.exists()


# Parquet


def test_parquet_holds_the_rows_with_numbers_as_numbers(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "a.jpg", "b.jpg")
    Image.new("RGB", (320, 240), "black").save(folder / "black.png")
    assert run(folder, "--output", tmp_path / "out.parquet") == run(folder, "--output", tmp_path / "out.csv") == 1
    read = parquet.read_table(tmp_path / "out.parquet")
    assert tuple(read.column_names) == (SOURCE, *COLUMNS)
    for row, expected in zip(read.to_pylist(), table(tmp_path / "out.csv"), strict=True):
        assert row[SOURCE] == str(folder / expected["image"])
        for name in {*COLUMNS} - {"runtime_ms"}:
            value = expected[name] or None
            assert row[name] == (float(value) if value and name in NUMBERS else value)
    assert all(read.to_pylist()[2][dx] is None for dx in SKIN.codes)


# Several processes


def test_two_processes_give_the_rows_of_one(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "a.jpg", "b.jpg", "c.jpg")
    (folder / "bad.jpg").write_text("no image")
    for processes in (1, 2):
        output = tmp_path / f"{processes}.csv"
        assert run(folder, "--output", output, "--processes", processes, "--heatmaps", tmp_path / str(processes)) == 1
    assert without_time(table(tmp_path / "2.csv")) == without_time(table(tmp_path / "1.csv"))
    written = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("1", "2")]
    assert written[0] == written[1] and len(written[0]) == 6


def test_process_that_dies_cuts_the_batch_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fill(tmp_path / "in", "a.jpg", "b.jpg")
    monkeypatch.setattr(predict, "score_in_process", die)
    assert run(folder, "--output", tmp_path / "out.csv", "--processes", 2) == 3
    assert "--resume" in capsys.readouterr().err


def die(artifact_folder: Path, source: Source, heatmap: Path | None, facts: PatientFacts) -> Row:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


# Buckets


@pytest.fixture
def bucket(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket with two images under `clinic/`, one beside it, and what is no image."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto_url)
    batch_sources._client.cache_clear()
    name = make_bucket(moto_url)
    client = boto3.client("s3", endpoint_url=moto_url)
    for key in ("clinic/b.jpg", "clinic/deep/a.JPG", "clinic/notes.txt", "clinical.jpg"):
        client.put_object(Bucket=name, Key=key, Body=SAMPLES[0].read_bytes())
    yield name
    batch_sources._client.cache_clear()


@pytest.mark.parametrize(
    ("place", "keys"),
    [
        ("", ["clinic/b.jpg", "clinic/deep/a.JPG", "clinical.jpg"]),
        ("/clinic", ["clinic/b.jpg", "clinic/deep/a.JPG"]),
        ("/clinic/", ["clinic/b.jpg", "clinic/deep/a.JPG"]),
        ("/clinic/notes.txt", ["clinic/notes.txt"]),
    ],
)
def test_prefix_is_searched_like_a_folder(bucket: str, place: str, keys: list[str]) -> None:
    assert find_sources([f"s3://{bucket}{place}"]) == [S3Object(bucket, key) for key in keys]


def test_objects_and_files_are_scored_alike(bucket: str, tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "b.jpg")
    arguments = [f"s3://{bucket}/clinic", folder, "--output", tmp_path / "out.parquet", "--heatmaps", tmp_path / "maps"]
    assert run(*arguments) == 0
    rows = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row[SOURCE] for row in rows] == [
        f"s3://{bucket}/clinic/b.jpg", f"s3://{bucket}/clinic/deep/a.JPG", str(folder / "b.jpg"),
    ]  # fmt: skip
    assert len({tuple(row[dx] for dx in SKIN.codes) for row in rows}) == 1
    assert sorted(path.stem for path in (tmp_path / "maps").glob("*.npy")) == ["a", "b", "b_2"]


def test_two_processes_read_a_bucket(bucket: str, tmp_path: Path) -> None:
    assert run(f"s3://{bucket}", "--output", tmp_path / "out.csv", "--processes", 2) == 0
    assert [row["image"] for row in table(tmp_path / "out.csv")] == ["b.jpg", "a.JPG", "clinical.jpg"]


def test_object_that_vanished_is_a_row_with_its_reason(bucket: str, artifact: Artifact) -> None:
    row = score(Analyzer(LiteRTClassifier(artifact)), S3Object(bucket, "gone.jpg"), None)
    assert row["quality"] == "unreadable: No such object"


@pytest.mark.parametrize(
    ("answer", "received"),
    [
        (lambda request: request.say(301, Location="http://127.0.0.1:1/"), "Redirected"),
        (lambda request: request.drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000), "TimeoutError"),
    ],
    ids=["redirect", "drip"],
)
def test_bucket_that_misbehaves_is_named_and_given_up(
    aws_credentials: None, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Request], None], received: str
) -> None:
    if received == "TimeoutError":
        monkeypatch.setattr(calls, "_CALL_SECONDS", 0.5)
    with store_that(answer) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        batch_sources._client.cache_clear()
        for call in (lambda: read_source(S3Object("lesions", "a.jpg")), lambda: find_sources(["s3://lesions"])):
            with pytest.raises(SourceUnavailable, match=f"expected the bucket lesions to be read, received {received}"):
                call()
    batch_sources._client.cache_clear()


def test_no_more_of_a_huge_object_is_read_than_is_needed(bucket: str, moto_url: str) -> None:
    client = boto3.client("s3", endpoint_url=moto_url)
    client.put_object(Bucket=bucket, Key="huge.jpg", Body=bytes(MAX_BYTES + 5 * 1024 * 1024))
    assert MAX_BYTES < len(read_source(S3Object(bucket, "huge.jpg"))) < MAX_BYTES + 2 * 1024 * 1024


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://{bucket}/nowhere", "nowhere does not exist"),
        ("s3://", "expected s3://bucket/prefix"),
        ("s3://no-such-bucket-anywhere", "NoSuchBucket; check its name"),
    ],
)
def test_place_that_is_not_there_is_said(
    bucket: str, place: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(place.format(bucket=bucket)) == 2
    assert message in capsys.readouterr().err


# Speed


def test_bench_counts_images_a_second_of_one_and_two_processes(
    artifact: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = measure_batch(artifact, SAMPLES[0], images=4)
    assert [(figure.processes, figure.images) for figure in figures] == [(1, 4), (2, 4)]
    assert all(figure.images_per_second > 0 for figure in figures)
    print_throughputs([Throughput(1, 4, 10.0), Throughput(2, 4, 18.0)])
    assert capsys.readouterr().out.splitlines()[-1].split()[-3:] == ["18.0", "9.0", "1.80x"]
