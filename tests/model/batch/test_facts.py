"""A table of facts beside the images of a batch: which row is whose, what is refused, and what it does to the rows."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from data.tasks.skin import SKIN
from model import predict
from model.analysis.analyzer import Analyzer
from model.batch.facts import FactsUnreadable, read_facts
from model.batch.sources import S3Object, Source, SourceUnavailable
from model.batch.table import Row, columns_of
from model.inference.artifact import load_artifact
from model.inference.clinical import NO_FACTS, PatientFacts
from model.inference.runtimes import LiteRTClassifier
from model.predict import main
from tests.support.artifacts import artifact_with_terms, artifact_without_terms
from tests.support.server import sample

IMAGES: list[Source] = [Path("/in/a.jpg"), Path("/in/b.jpg"), Path("/in/c.tiff")]
COLUMNS = columns_of(SKIN)


def facts_of(folder: Path, table: str, sources: Sequence[Source] = IMAGES) -> Mapping[Source, PatientFacts]:
    path = folder / "facts.csv"
    path.write_text(table, encoding="utf-8")
    return read_facts(path, sources).by_image


# Which row is whose


def test_rows_are_found_by_name_path_and_name_without_ending(tmp_path: Path) -> None:
    table = "image,age,site\nb.jpg,40,back\n/in/a.jpg,60.5,\nc,,lower extremity\nz.jpg,1,ear\n"
    assert facts_of(tmp_path, table) == {
        IMAGES[0]: PatientFacts(60.5),
        IMAGES[1]: PatientFacts(40, "back"),
        IMAGES[2]: PatientFacts(site="lower extremity"),
    }


def test_relative_paths_and_addresses_name_their_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sources: list[Source] = [Path("x/a.jpg"), tmp_path / "y" / "a.jpg", S3Object("clinic", "2026/a.jpg")]
    table = "image,age\nx/a.jpg,1\ny/a.jpg,2\ns3://clinic/2026/a.jpg,3\n"
    assert facts_of(tmp_path, table, sources) == dict(zip(sources, map(PatientFacts, (1, 2, 3)), strict=True))


def test_ham10000_s_metadata_is_a_table_of_facts(tmp_path: Path) -> None:
    table = (
        "\ufefflesion_id,image_id,dx,dx_type,age,sex,localization\r\n"
        "HAM_1,a,mel,histo,80.0,male,scalp\r\n"
        "HAM_2,b,nv,follow_up,,unknown,unknown\r\n"
    )
    assert facts_of(tmp_path, table) == {IMAGES[0]: PatientFacts(80, "scalp"), IMAGES[1]: NO_FACTS}


def test_whole_metadata_of_ham10000_is_read(ham10000_folder: Path) -> None:
    path = ham10000_folder / "HAM10000_metadata.csv"
    with path.open(newline="", encoding="utf-8") as file:
        names = [row["image_id"] for row in csv.DictReader(file)]
    facts = read_facts(path, [Path(f"/in/{name}.jpg") for name in names])
    assert len(facts.by_image) == len(names) > 10_000 and not facts.unused


@pytest.mark.parametrize(
    "name", ["M\u00fcller.jpg", "mu\u0308ller.JPG", "MU\u0308LLER", "IN\\m\u00fcller.jpg", "In/Mu\u0308ller.jpg"]
)
@pytest.mark.parametrize("file", ["M\u00fcller.jpg", "Mu\u0308ller.jpg"])
def test_names_are_the_same_in_any_case_encoding_of_accents_and_slash(
    tmp_path: Path, name: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = Path("in") / file
    assert facts_of(tmp_path, f"image,age\n{name},60\n", [source]) == {source: PatientFacts(60)}


def test_of_images_that_differ_in_case_only_the_one_spelled_alike_is_meant(tmp_path: Path) -> None:
    sources = [Path("/in/a.jpg"), Path("/in/A.jpg")]
    facts = facts_of(tmp_path, "image,age\nA.jpg,2\na.jpg,1\n", sources)
    assert facts == {sources[0]: PatientFacts(1), sources[1]: PatientFacts(2)}
    with pytest.raises(FactsUnreadable, match="fits 2"):
        facts_of(tmp_path, "image,age\na.JPG,2\n", sources)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_of_spreadsheets_are_read(tmp_path: Path, separator: str, encoding: str) -> None:
    rows = [["Image", " Age", "Site", "note"], ["a.jpg", "60.5", "back", ""], ["b.jpg", "", "ear", "x"], [""] * 4]
    path = tmp_path / "facts.csv"
    path.write_text("".join(separator.join(row) + "\r\n" for row in rows), encoding=encoding, newline="")
    assert read_facts(path, IMAGES).by_image == {
        IMAGES[0]: PatientFacts(60.5, "back"),
        IMAGES[1]: PatientFacts(site="ear"),
    }


def test_age_with_a_decimal_comma_is_read_where_commas_separate_nothing(tmp_path: Path) -> None:
    assert facts_of(tmp_path, "image;age\na.jpg;60,5\n") == {IMAGES[0]: PatientFacts(60.5)}


def test_rows_that_fit_no_image_are_told_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "facts.csv").write_text("image,age\nz.jpg,1\na.jpg,2\nC:\\in\\b.jpg,3\n")
    facts = read_facts(tmp_path / "facts.csv", IMAGES)
    assert facts.by_image == {IMAGES[0]: PatientFacts(2)}
    assert facts.unused == [("z.jpg", 2), ("C:\\in\\b.jpg", 4)]


# What is refused


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "expected a column image and age, site or both"),
        ("image,note\na.jpg,x\n", "expected a column image and age, site or both"),
        ("age,site\n60,back\n", "expected a column image and age, site or both"),
        ("image|age\na.jpg|60\n", "separated by commas, semicolons or tabs"),
        ("image,image_id,age\na.jpg,a,60\n", "expected one column image, received image, image_id"),
        ("image,site,localization\na.jpg,back,back\n", "expected one column site, received site, localization"),
        ("image,age,age\na.jpg,1,2\n", "expected one column age, received age, age"),
        ("image,age\na.jpg,60\nb.jpg,old\n", "row 3: expected an age in years, received 'old'"),
        ("image,age\na.jpg,nan\n", "row 2: expected an age from 0 to 120 years, received nan"),
        ("image,age\na.jpg,121\n", "row 2: expected an age from 0 to 120 years, received 121"),
        ("image,site\na.jpg,arm\n", "row 2: expected a site of abdomen, "),
        ("image,site\nno image of ours.jpg,arm\n", "row 2: expected a site of abdomen, "),
        ("image,age\n,60\n", "row 2: expected a name of an image"),
        ("image,age\na.jpg,60,70\n", "row 2: expected as many cells as the first row"),
        ("image,age\na.jpg\n", "row 2: expected as many cells as the first row"),
        ("image,age\na.jpg,60\na.jpg,60\n", "row 3: expected one row an image, received another of a.jpg"),
        ("image,age\na.jpg,60\n/in/a.jpg,61\n", "row 3: expected one row an image, received another of /in/a.jpg"),
    ],
)
def test_table_that_is_wrong_is_refused_with_its_row(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(FactsUnreadable) as refused:
        facts_of(tmp_path, table)
    assert message in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "facts.csv"))


@pytest.mark.parametrize("name", ["a.jpg", "a"])
def test_name_that_fits_two_images_could_give_one_patient_s_facts_to_another(tmp_path: Path, name: str) -> None:
    sources = [Path("/in/x/a.jpg"), Path("/in/y/a.jpg")]
    with pytest.raises(FactsUnreadable, match=f"row 2: expected a name of one image, received {name}, which fits 2"):
        facts_of(tmp_path, f"image,age\n{name},60\n", sources)


def test_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "facts.csv").write_bytes("image,site\nm\u00fcller.jpg,back\n".encode("latin-1"))
    with pytest.raises(FactsUnreadable, match="in UTF-8"):
        read_facts(tmp_path / "facts.csv", IMAGES)


@pytest.mark.parametrize("table", ["image,age\na.jpg,old\n", None])
def test_wrong_table_is_exit_code_2_and_nothing_written(
    folder: Path, table: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if table is not None:
        (tmp_path / "facts.csv").write_text(table)
    assert run(folder, "--facts", tmp_path / "facts.csv", "--output", tmp_path / "out.csv") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("model.predict: ") and "facts.csv" in line
    assert not list(tmp_path.glob("out.csv*"))


# What it does


@pytest.fixture(scope="module")
def artifact_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return artifact_with_terms(tmp_path_factory.mktemp("facts") / "skin")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four copies of one image, whose facts are all that can differ."""
    (tmp_path / "in").mkdir()
    for name in "abcd":
        (tmp_path / "in" / f"{name}.jpg").write_bytes(sample())
    return tmp_path / "in"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Facts of two of the four."""
    path = tmp_path / "facts.csv"
    path.write_text("image_id,age,localization\nb,80,\nc,80,back\n")
    return path


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def rows_of(output: Path) -> list[Row]:
    with output.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def probabilities(row: Row) -> list[float]:
    return [float(row[dx]) for dx in SKIN.codes]


@pytest.mark.parametrize("processes", [1, 2])
def test_each_row_takes_its_own_facts_into_account(
    folder: Path, table: Path, artifact_folder: Path, processes: int, capsys: pytest.CaptureFixture[str]
) -> None:
    output = folder.parent / "out.csv"
    arguments = ("--artifact", artifact_folder, "--facts", table, "--processes", processes)
    assert run(folder, "--output", output, *arguments) == 0
    assert "facts given for 2 of 4 images" in capsys.readouterr().err
    rows = rows_of(output)
    assert tuple(rows[0]) == COLUMNS
    analyzer = Analyzer(LiteRTClassifier(load_artifact(artifact_folder)))
    for row, facts in zip(rows, (NO_FACTS, PatientFacts(80), PatientFacts(80, "back"), NO_FACTS), strict=True):
        prediction = analyzer.with_facts(analyzer.run(sample()), facts).answered.prediction
        assert probabilities(row) == pytest.approx(list(prediction.probabilities), abs=1e-6)
        assert row["prediction"] == prediction.dx
    assert [row["prediction"] for row in rows] == ["mel", "mel", "bcc", "mel"]
    assert (len({row["bcc"] for row in rows}), len({row["p_malignant"] for row in rows})) == (3, 1)


def test_rows_of_facts_that_fit_no_image_are_named(
    folder: Path, table: Path, artifact_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (folder, "--artifact", artifact_folder, "--facts", table, "--output", folder.parent / "out.csv")
    table.write_text("image,age\nb,80\nlost.jpg,70\n")
    assert run(*arguments) == 0
    assert "1 row of facts fits no image: lost.jpg (line 3)\n" in capsys.readouterr().err
    table.write_text("image,age\n" + "".join(f"lost {number}.jpg,70\n" for number in range(12)))
    assert run(*arguments) == 0
    told = capsys.readouterr().err
    assert (
        "12 rows of facts fit no image: lost 0.jpg (line 2), " in told and "lost 9.jpg (line 11) and 2 more\n" in told
    )
    assert "facts given for 0 of 4 images" in told


def test_heatmap_is_of_the_class_predicted_with_the_facts(folder: Path, table: Path, artifact_folder: Path) -> None:
    maps = folder.parent / "maps"
    assert run(folder, "--artifact", artifact_folder, "--facts", table, "--heatmaps", maps) == 0
    pictures = {name: (maps / f"{name}.npy").read_bytes() for name in "abcd"}
    assert pictures["a"] == pictures["b"] == pictures["d"] != pictures["c"]


def test_resumed_batch_goes_on_with_the_same_facts(
    folder: Path, table: Path, artifact_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = folder.parent / "out.csv"
    arguments = (folder, "--artifact", artifact_folder, "--facts", table, "--output", output)
    cut_short_after(2, monkeypatch)
    assert run(*arguments) == 3
    monkeypatch.undo()
    assert run(*arguments, "--resume") == 0
    assert [row["prediction"] for row in rows_of(output)] == ["mel", "mel", "bcc", "mel"]


@pytest.mark.parametrize("change", ["other", "none"])
def test_rows_with_other_facts_are_not_mixed_in(
    folder: Path,
    table: Path,
    artifact_folder: Path,
    change: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = (folder, "--artifact", artifact_folder, "--output", folder.parent / "out.csv")
    cut_short_after(2, monkeypatch)
    assert run(*arguments, "--facts", table) == 3
    monkeypatch.undo()
    table.write_text("image,age\na.jpg,20\n")
    assert run(*arguments, "--resume", *(("--facts", table) if change == "other" else ())) == 2
    assert "expected parts of this model and these facts" in capsys.readouterr().err


def test_finished_table_is_not_gone_on_from_with_facts(
    folder: Path, table: Path, artifact_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (folder, "--artifact", artifact_folder, "--output", folder.parent / "out.csv")
    assert run(*arguments) == 0
    before = (folder.parent / "out.csv").read_bytes()
    assert run(*arguments, "--facts", table, "--resume") == 2
    assert "expected no finished table" in capsys.readouterr().err
    assert (folder.parent / "out.csv").read_bytes() == before


def cut_short_after(images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket that goes away."""
    done: list[Source] = []
    score = predict.score

    def failing_score(analyzer: Analyzer, source: Source, heatmap: Path | None, facts: PatientFacts) -> Row:
        done.append(source)
        if len(done) > images:
            raise SourceUnavailable("expected a bucket, it has gone")
        return score(analyzer, source, heatmap, facts)

    monkeypatch.setattr(predict, "score", failing_score)


def test_model_without_terms_says_so(
    folder: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact_folder, output = artifact_without_terms(tmp_path / "plain"), tmp_path / "out.csv"
    assert run(folder, "--artifact", artifact_folder, "--facts", table, "--output", output) == 0
    assert "this model takes no facts into account" in capsys.readouterr().err
    assert len({tuple(probabilities(row)) for row in rows_of(output)}) == 1
