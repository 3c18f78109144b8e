"""The command line on the committed weights: one row a file, whatever the file is."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.datasets.ham10000 import image_path
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from model.analysis.analyzer import Analyzer
from model.batch.challenge import write_challenge
from model.batch.rows import score
from model.batch.sources import find_images
from model.batch.table import columns_of
from model.images.decoder import Decoder
from model.images.decoding import decode_image, open_image
from model.images.framing import to_network_input
from model.images.reading import OpenedImage
from model.images.rejection import MAX_BYTES
from model.inference.artifact import DEFAULT_ARTIFACT, Artifact, QualityLimits, load_artifact
from model.inference.runtimes import LiteRTClassifier
from model.predict import main
from tests.support.dicom import dicom_file
from tests.support.files import costly

Rows = list[dict[str, str]]
ANYTHING = QualityLimits(0, 0, 255, 0, float("inf"))
COLUMNS = columns_of(SKIN)


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return load_artifact(DEFAULT_ARTIFACT)


@pytest.fixture
def tolerant(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """The committed weights without their quality limits, so that every readable drawing is answered."""
    tolerant = replace(artifact, quality=ANYTHING)
    monkeypatch.setattr("model.predict.load_artifact", lambda folder: tolerant)
    return tolerant


def draw_lesion(path: Path, width: int = 320, height: int = 240) -> Path:
    """A brown blot on skin, a little to the left of the middle; a function of size only."""
    skin = np.random.default_rng(1).normal((225, 180, 165), 6, (height, width, 3))
    y, x = np.mgrid[:height, :width]
    inside = ((x / width - 0.45) / 0.2) ** 2 + ((y / height - 0.5) / 0.25) ** 2 < 1
    skin[inside] *= 0.45, 0.4, 0.4
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(skin, 0, 255).astype(np.uint8)).save(path)
    return path


def run_main(output: Path, arguments: Sequence[object]) -> tuple[int, Rows]:
    code = main([*(str(argument) for argument in arguments), "--output", str(output)])
    with output.open(newline="", encoding="utf-8") as file:
        return code, list(csv.DictReader(file))


def assert_answered(row: dict[str, str]) -> None:
    probabilities = np.array([float(row[dx]) for dx in SKIN.codes])
    assert row["quality"] == "ok"
    assert (probabilities >= 0).all()
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert row["prediction"] in SKIN.codes
    assert float(row["p_malignant"]) == pytest.approx(sum(float(row[dx]) for dx in SKIN.question.positives), abs=1e-5)
    assert float(row["ood_score"]) >= 0
    assert float(row["runtime_ms"]) > 0


def assert_unanswered(row: dict[str, str], reason: str) -> None:
    assert row["quality"] == reason
    assert [row[column] for column in (*SKIN.codes, "prediction", "p_malignant", "conformal_set")] == [""] * 10


# Rows


def test_full_size_upload_meets_the_network_like_the_copy_it_was_trained_on(ham10000_folder: Path) -> None:
    originals = sorted((ham10000_folder / "full_size_samples").glob("*.jpg"))
    assert len(originals) == 28
    for original in originals[::4]:
        copy = image_path(ham10000_folder, original.stem)
        assert copy is not None
        inputs = [to_network_input(decode_image(path.read_bytes()), 192, 256)[0] for path in (original, copy)]
        assert np.abs(inputs[0].astype(float) - inputs[1].astype(float)).mean() < 0.5


def test_columns_are_the_contract_s() -> None:
    contract = "image akiec bcc bkl df mel nv vasc prediction p_malignant conformal_set quality ood_score runtime_ms"
    assert COLUMNS == tuple(contract.split())


def test_every_row_answered_is_exit_code_0(tolerant: Artifact, tmp_path: Path) -> None:
    draw_lesion(tmp_path / "in" / "b.png")
    draw_lesion(tmp_path / "in" / "a.jpg", 240, 320)
    draw_lesion(tmp_path / "in" / "deep" / "C.TIFF", 300, 300)
    code, rows = run_main(tmp_path / "out.csv", [tmp_path / "in"])
    assert code == 0
    assert tuple(rows[0]) == COLUMNS
    assert [row["image"] for row in rows] == ["a.jpg", "b.png", "C.TIFF"]
    for row in rows:
        assert_answered(row)


def test_row_says_what_the_analysis_says(tolerant: Artifact, tmp_path: Path) -> None:
    path = draw_lesion(tmp_path / "a.png")
    _, (row,) = run_main(tmp_path / "out.csv", [path])
    prediction = Analyzer(LiteRTClassifier(tolerant)).run(path.read_bytes()).answered.prediction
    assert [float(row[dx]) for dx in SKIN.codes] == pytest.approx(list(prediction.probabilities), abs=1e-6)
    assert row["prediction"] == prediction.dx


def test_bad_file_is_a_row_with_its_reason_and_exit_code_1(tolerant: Artifact, tmp_path: Path) -> None:
    good = draw_lesion(tmp_path / "in" / "good.png")
    (tmp_path / "in" / "text.jpg").write_text("no image")
    (tmp_path / "in" / "empty.png").touch()
    (tmp_path / "in" / "cut.png").write_bytes(good.read_bytes()[:20_000])
    Image.new("RGB", (40, 300)).save(tmp_path / "in" / "small.png")
    code, rows = run_main(tmp_path / "out.csv", [tmp_path / "in"])
    assert code == 1
    by_name = {row["image"]: row for row in rows}
    assert len(rows) == len(by_name) == 5
    assert_answered(by_name["good.png"])
    for name, reason in {
        "text.jpg": "not_an_image",
        "empty.png": "empty",
        "cut.png": "damaged",
        "small.png": "too_small",
    }.items():
        assert_unanswered(by_name[name], reason)
        assert by_name[name]["ood_score"] == by_name[name]["runtime_ms"] == ""


def test_file_that_costs_minutes_is_a_row_and_the_batch_goes_on(
    tolerant: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = Decoder(cpu_seconds=1)
    monkeypatch.setattr("model.images.decoding._DECODER", decoder)
    lesion = draw_lesion(tmp_path / "images" / "z.png")
    (tmp_path / "images" / "a.png").write_bytes(costly.png_strip())
    (tmp_path / "images" / "b.png").write_bytes(costly.png_with_profile(costly.profile_of_many_steps()))
    code, rows = run_main(tmp_path / "rows.csv", [lesion.parent])
    decoder.close()
    assert code == 1
    assert_unanswered(rows[0], "too_narrow")
    assert_unanswered(rows[1], "too_costly")
    assert_answered(rows[2])


def test_readable_image_that_cannot_be_judged_is_a_row_with_its_reason(tmp_path: Path) -> None:
    """With the committed limits: black and white images get a score, and no label."""
    Image.new("RGB", (320, 240), "black").save(tmp_path / "black.png")
    Image.new("RGB", (320, 240), "white").save(tmp_path / "white.png")
    code, rows = run_main(tmp_path / "out.csv", [tmp_path / "black.png", tmp_path / "white.png"])
    assert code == 1
    for row, reason in zip(rows, ("too_dark", "too_bright"), strict=True):
        assert_unanswered(row, reason)
        assert float(row["ood_score"]) > 0
        assert float(row["runtime_ms"]) > 0


def test_file_that_vanishes_is_a_row_with_its_reason(artifact: Artifact, tmp_path: Path) -> None:
    row = score(Analyzer(LiteRTClassifier(artifact)), tmp_path / "gone.jpg", None)
    assert row["image"] == "gone.jpg"
    assert_unanswered(row, "unreadable: No such file or directory")


def test_no_more_of_a_huge_file_is_read_than_is_accepted(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "disk.jpg").open("wb") as file:
        file.truncate(2**40)  # a sparse terabyte
    lengths: list[int] = []

    def recording(content: bytes, max_bytes: int) -> OpenedImage:
        lengths.append(len(content))
        return open_image(content, max_bytes)

    monkeypatch.setattr("model.analysis.analyzer.open_image", recording)
    row = score(Analyzer(LiteRTClassifier(artifact)), tmp_path / "disk.jpg", None)
    assert_unanswered(row, "too_many_bytes")
    assert lengths == [MAX_BYTES + 1]


@pytest.mark.skipif(os.name != "posix", reason="file names are text on this system")
def test_file_name_that_is_no_text_is_written_readably(tolerant: Artifact, tmp_path: Path) -> None:
    plain = draw_lesion(tmp_path / "in" / "plain.png")
    plain.rename(Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/caf\xe9.png")))
    code, rows = run_main(tmp_path / "out.csv", [tmp_path / "in"])
    assert code == 0
    assert [row["image"] for row in rows] == ["caf\\udce9.png"]


def test_names_with_commas_quotes_and_umlauts_survive(tolerant: Artifact, tmp_path: Path) -> None:
    name = 'Läsion, "links".png'
    draw_lesion(tmp_path / name)
    _, rows = run_main(tmp_path / "out.csv", [tmp_path / name])
    assert [row["image"] for row in rows] == [name]


def test_without_output_rows_go_to_standard_output_which_stays_open(
    tolerant: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = draw_lesion(tmp_path / "a.png")
    assert main([str(path)]) == 0
    print("still open")
    printed = capsys.readouterr()
    *table, last = printed.out.splitlines()
    assert last == "still open"
    (row,) = csv.DictReader(io.StringIO("\n".join(table)))
    assert_answered(row)
    assert "1 images, 0 rejected" in printed.err


# Which files


def test_images_by_any_usual_name_are_found_and_copies_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tolerant: Artifact
) -> None:
    whole = draw_lesion(tmp_path / "lesion.jpg").read_bytes()
    for name in ("b.jfif", "c.JPE", "._lesion.jpg", ".ipynb_checkpoints/lesion-checkpoint.jpg", "__MACOSX/lesion.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(whole)
    (tmp_path / "IM000001").write_bytes(dicom_file())
    (tmp_path / "README").write_text("no image")
    code, rows = run_main(tmp_path / "out.csv", [tmp_path])
    assert (code, [row["image"] for row in rows]) == (0, ["IM000001", "b.jfif", "c.JPE", "lesion.jpg"])
    assert "passed over 3 copies" in capsys.readouterr().err


def test_folders_are_searched_for_images_and_files_taken_as_given(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", "deep/c.webp", "notes.txt", "table.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    found = find_images([tmp_path / "notes.txt", tmp_path])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["notes.txt", "a.jpeg", "b.PNG", "deep/c.webp"]


# Wrong usage: exit code 2, nothing written


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}/nowhere.jpg"], "nowhere.jpg does not exist"),
        (["{folder}/empty"], "expected at least one image, the folders hold none"),
        (["{folder}/a.png", "--artifact", "{folder}/empty"], "expected manifest.json in"),
        (["{folder}/a.png", "--heatmaps", "{folder}/a.png"], "File exists"),
        (["{folder}/a.png", "--output", "{folder}/no/such/folder.csv"], "No such file or directory"),
    ],
)
def test_wrong_usage_is_exit_code_2_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    draw_lesion(tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    assert main([argument.format(folder=tmp_path) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("model.predict: ")
    assert message in line


def test_wrong_usage_leaves_an_earlier_table_alone(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "out.csv").write_text("earlier results")
    assert main([str(tmp_path / "empty"), "--output", str(tmp_path / "out.csv")]) == 2
    assert (tmp_path / "out.csv").read_text() == "earlier results"


@pytest.mark.parametrize("arguments", [[], ["a.png", "--colour"]])
def test_arguments_that_make_no_sense_are_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


# Heatmaps


def test_heatmaps_are_an_overlay_and_the_map_of_the_predicted_class(tolerant: Artifact, tmp_path: Path) -> None:
    path = draw_lesion(tmp_path / "in" / "lying.png", 320, 240)
    draw_lesion(tmp_path / "in" / "standing.png", 300, 400)
    code, rows = run_main(tmp_path / "out.csv", [tmp_path / "in", "--heatmaps", tmp_path / "new" / "maps"])
    assert code == 0
    written = sorted(file.name for file in (tmp_path / "new" / "maps").iterdir())
    assert written == ["lying.npy", "lying.png", "standing.npy", "standing.png"]
    with Image.open(tmp_path / "new" / "maps" / "standing.png") as laid_over:
        assert laid_over.size == (300, 400)
    with Image.open(tmp_path / "new" / "maps" / "lying.png") as laid_over:
        assert (laid_over.format, laid_over.mode, laid_over.size) == ("PNG", "RGB", (320, 240))
        assert (np.asarray(laid_over) != decode_image(path.read_bytes())).any()
    for name in ("lying.npy", "standing.npy"):
        heatmap = np.load(tmp_path / "new" / "maps" / name)
        assert (heatmap.shape, heatmap.dtype) == ((12, 16), np.float32)
        assert heatmap.min() >= 0
        assert heatmap.max() == 1
    explanation = Analyzer(LiteRTClassifier(tolerant)).run(path.read_bytes()).answered.explanation
    expected = explanation.heatmap(rows[0]["prediction"])
    np.testing.assert_array_equal(np.load(tmp_path / "new" / "maps" / "lying.npy"), expected)


def test_files_of_one_name_keep_a_heatmap_each(tolerant: Artifact, tmp_path: Path) -> None:
    """Also where the numbered name is another file's own."""
    draw_lesion(tmp_path / "x" / "a.png", 100, 75)
    draw_lesion(tmp_path / "x" / "a_2.png", 120, 90)
    draw_lesion(tmp_path / "y" / "a.jpg", 140, 105)
    draw_lesion(tmp_path / "y" / "a.png", 160, 120)
    arguments = [tmp_path / "x", tmp_path / "y", "--heatmaps", tmp_path / "maps"]
    code, rows = run_main(tmp_path / "out.csv", arguments)
    assert code == 0
    assert [row["image"] for row in rows] == ["a.png", "a_2.png", "a.jpg", "a.png"]
    widths = {}
    for path in (tmp_path / "maps").glob("*.png"):
        with Image.open(path) as laid_over:
            widths[path.stem] = laid_over.width
    assert widths == {"a": 100, "a_2": 120, "a_3": 140, "a_4": 160}
    assert len(list((tmp_path / "maps").glob("*.npy"))) == 4


def test_refused_images_leave_no_heatmap(tmp_path: Path) -> None:
    Image.new("RGB", (320, 240), "black").save(tmp_path / "black.png")
    (tmp_path / "text.jpg").write_text("no image")
    arguments = [tmp_path / "black.png", tmp_path / "text.jpg", "--heatmaps", tmp_path / "maps"]
    code, rows = run_main(tmp_path / "out.csv", arguments)
    assert code == 1
    assert [row["quality"] for row in rows] == ["too_dark", "not_an_image"]
    assert list((tmp_path / "maps").iterdir()) == []


# Real images, where there are any


def test_scores_for_a_challenge_are_highest_where_the_prediction_is(
    tolerant: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = Path(__file__).resolve().parents[2] / "data" / "sample"
    challenge, output = tmp_path / "challenge.csv", tmp_path / "out.csv"
    code, rows = run_main(output, [samples, "--challenge", challenge])
    assert code == 0
    scored = list(csv.DictReader(challenge.read_text(encoding="utf-8").splitlines()))
    assert [row["image"] for row in scored] == [Path(row["image"]).stem for row in rows]
    for scores, row in zip(scored, rows, strict=True):
        values = [float(scores[code.upper()]) for code in SKIN.codes]
        assert SKIN.codes[int(np.argmax(values))] == row["prediction"] and sum(values) == pytest.approx(1, abs=1e-6)
    # Worked out by hand: melanoma has 0.39 of 0.1, a nevus 0.55 of 0.7.
    prior = tuple({"mel": 0.1, "nv": 0.7}.get(code, 0.04) for code in SKIN.codes)
    made_up = replace(tolerant, calibration=replace(tolerant.calibration, prior=prior))
    row = dict.fromkeys(COLUMNS, "0") | {"image": "a.jpg", "mel": "0.39", "nv": "0.55", "bkl": "0.06"}
    write_challenge(challenge, [row, row | {"prediction": ""}], made_up)
    (only,) = csv.DictReader(challenge.read_text(encoding="utf-8").splitlines())
    assert float(only["MEL"]) == pytest.approx(3.9 / (3.9 + 0.55 / 0.7 + 1.5), abs=1e-6)
    grades = replace(tolerant, task=RETINA)
    monkeypatch.setattr("model.predict.load_artifact", lambda folder: grades)
    assert main([str(samples), "--output", str(output), "--challenge", str(challenge)]) == 2


def test_full_size_samples_are_answered_row_by_row(ham10000_folder: Path, tmp_path: Path) -> None:
    samples = ham10000_folder / "full_size_samples"
    code, rows = run_main(tmp_path / "out.csv", [samples, "--heatmaps", tmp_path / "maps"])
    assert [row["image"] for row in rows] == sorted(path.name for path in samples.glob("*.jpg"))
    assert len(rows) == 28
    answered = [row for row in rows if row["quality"] == "ok"]
    assert code == (0 if len(answered) == 28 else 1)
    for row in rows:
        if row in answered:
            assert_answered(row)
        else:
            assert_unanswered(row, "out_of_distribution")
    # The gate is set to let 98 of 100 images like the training ones pass.
    assert len(answered) >= 24
    assert len(list((tmp_path / "maps").glob("*.npy"))) == len(answered)
    with Image.open(next((tmp_path / "maps").glob("*.png"))) as laid_over:
        assert laid_over.size == (600, 450)


def test_a_real_image_and_a_file_that_is_none(ham10000_folder: Path, tmp_path: Path) -> None:
    image = sorted((ham10000_folder / "full_size_samples").glob("*.jpg"))[0]
    shutil.copy(image, tmp_path / "lesion.pdf")  # the name does not matter
    (tmp_path / "broken.jpg").write_bytes(image.read_bytes()[:10_000])
    code, rows = run_main(tmp_path / "out.csv", [tmp_path / "lesion.pdf", tmp_path / "broken.jpg"])
    assert code == 1
    assert rows[0]["quality"] in ("ok", "out_of_distribution")
    assert_unanswered(rows[1], "damaged")
