"""What a camera's field tells of the class, on drawn photographs whose grades it does or does not give away."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import Task
from model.evaluation.predictions import cohort_of, load_predictions
from model.evaluation.report import shortcut_table
from model.evaluation.results import evaluate, to_plain
from model.images.field import Field, find_field
from model.images.framing import Preparation
from model.inference.artifact import DEFAULT_ARTIFACT, MANIFEST_FILE, Artifact, load_artifact
from model.studies import shortcut
from model.studies.shortcut import (
    NO_FIELD,
    box_of,
    look_at,
    main,
    margins_of,
    measure_clue,
    measure_networks,
    study,
)
from tests.support.dashboard import write_artifact
from tests.support.files.fundus import fundus
from tests.support.tiny_dataset import COLUMNS

# A disc of radius 100 in the middle of 200 x 300 pixels, and of the same with 20 rows cut off above.
WHOLE = Field(50, 0, 200, 200)
CUT = Field(50, -20, 200, 200)


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcut, "TREES", 10)


def black(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), dtype=np.uint8)


def test_box_is_in_shares_of_the_image() -> None:
    assert box_of(CUT, black(200, 300)) == pytest.approx([50 / 300, -20 / 200, 200 / 300, 1.0])
    assert box_of(None, black(200, 300)) == [NO_FIELD] * 4


def test_margins_by_hand() -> None:
    """On an input of 192 x 256 the circle has 192 of 200 rows; its band of 72 % shows 144 of them as 192."""
    assert margins_of(WHOLE, black(200, 300), 192, 256, "circle") == [0, 0, 0, 0]
    assert margins_of(CUT, black(180, 300), 192, 256, "circle") == [0, 19, 0, 0]
    assert margins_of(CUT, black(160, 300), 192, 256, "circle") == [0, 19, 0, 19]
    # 28 rows lie above and below the band, so nothing of it is cut off; of 40 rows, 12 are, as 16 of the input.
    assert margins_of(CUT, black(160, 300), 192, 256, "band") == [0, 0, 0, 0]
    assert margins_of(Field(50, -40, 200, 200), black(160, 300), 192, 256, "band") == [0, 16, 0, 0]
    assert margins_of(None, black(160, 300), 192, 256, "band") == [NO_FIELD] * 4


def test_room_beside_the_disc_is_no_margin() -> None:
    """The image ends with the disc: the input's 32 columns beside it are black with every camera."""
    assert margins_of(Field(0, 0, 200, 200), black(200, 200), 192, 256, "circle") == [0, 0, 0, 0]
    # 25 of 200 columns are cut off, 24 of 192 on the input, within a pixel: the box is laid in whole ones.
    assert margins_of(Field(-25, 0, 200, 200), black(200, 175), 192, 256, "circle") == pytest.approx(
        [24, 0, 0, 0], abs=1
    )


def rows_of(grades: list[int], task: Task) -> pd.DataFrame:
    number = range(len(grades))
    return pd.DataFrame(
        {
            "image_id": [f"i{one}" for one in number],
            "lesion_id": [f"l{one}" for one in number],
            "dx": [task.codes[grade] for grade in grades],
            "split": [f"fold{one % 5}" for one in number],
        }
    )


def test_clue_that_is_the_grade_tells_all_and_one_that_is_not_tells_nothing() -> None:
    grades = [number // 40 for number in range(200)]
    rows = rows_of(grades, RETINA)
    told = measure_clue("field", np.array(grades, dtype=float)[:, np.newaxis], rows, RETINA)
    assert told.weighted_kappa is not None
    assert told.weighted_kappa.value == 1 and told.positive_auroc.value == 1 and told.balanced_accuracy.value == 1
    nothing = measure_clue("band", np.zeros((200, 1)), rows, RETINA)
    assert nothing.weighted_kappa is not None
    assert abs(nothing.weighted_kappa.value) < 0.05 and nothing.balanced_accuracy.value == pytest.approx(0.2, abs=0.05)


def test_names_have_no_kappa() -> None:
    grades = [number % 7 for number in range(140)]
    clue = measure_clue("field", np.array(grades, dtype=float)[:, np.newaxis], rows_of(grades, SKIN), SKIN)
    assert clue.weighted_kappa is None and clue.positive_auroc.value == 1


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten eyes a grade: of the first two grades the whole disc is seen, of the others 30 of 400 rows are cut off on
    either side, which the band hides."""
    folder = tmp_path_factory.mktemp("aptos")
    (folder / "images").mkdir()
    rows = []
    for index, dx in enumerate(RETINA.codes):
        for eye in range(10):
            name = f"e{index}{eye}"
            drawn = fundus(400 if index < 2 else 340, 480, 200, seed=10 * index + eye)
            Image.fromarray(drawn).resize((240, len(drawn) // 2)).save(folder / "images" / f"{name}.png")
            rows.append((f"eye_{name}", name, dx, "unknown", np.nan, "unknown", "unknown"))
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "HAM10000_metadata.csv", index=False)
    return folder


def cropped(folder: Path) -> Artifact:
    artifact = load_artifact(write_artifact(folder, task=RETINA))
    return replace(artifact, preparation=Preparation("band"))


def test_study_finds_what_the_camera_gives_away_and_that_the_band_hides_it(photographs: Path, tmp_path: Path) -> None:
    section = to_plain(study(cropped(tmp_path / "retina"), photographs))
    # Two of ten eyes a grade are locked.
    assert (section["images"], section["lesions"], section["crop"]) == (40, 40, "band")
    assert (section["field"]["found"], section["field"]["whole"]) == (40, 16)
    assert section["field"]["median_cut_above"] == pytest.approx(30 / 400, abs=0.01)
    auroc = {clue["key"]: clue["positive_auroc"]["value"] for clue in section["clues"]}
    assert auroc["field"] == auroc["circle"] == 1
    assert auroc["band"] == pytest.approx(0.5, abs=0.2)
    assert section["networks"] == []  # its predictions are of other images
    text = shortcut_table(section, RETINA)
    assert "retinal photographs out of fold" in text and "band, which this model takes" in text
    assert "field found in 40, the whole disc seen in 16; the others miss 7." in text


def test_networks_are_measured_within_a_kind_of_image(tmp_path: Path) -> None:
    artifact = cropped(tmp_path)
    predictions = load_predictions(artifact.out_of_fold_path, RETINA)
    whole = list(predictions["image_id"][::2])
    kinds = {"whole": whole, "cut_off": ["another"]}
    (measured,) = measure_networks(predictions, kinds, RETINA)
    assert (measured.key, measured.images) == ("whole", len(whole))
    assert measured.weighted_kappa == evaluate(cohort_of(predictions[::2], RETINA)).weighted_kappa


def test_image_without_a_field_has_none(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((100, 120, 3), 128, dtype=np.uint8)).save(path)
    seen = look_at([path], 192, 256)
    assert find_field(np.full((100, 120, 3), 128, dtype=np.uint8)) is None
    assert (seen.clues["field"] == NO_FIELD).all() and np.isnan(seen.cut).all()


def test_command_writes_the_section(photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_artifact(tmp_path / "retina", task=RETINA)
    assert main(["--artifact", str(folder), "--dataset", str(photographs)]) == 0
    stored = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))["shortcut"]
    assert [clue["key"] for clue in stored["clues"]] == ["field", "file_size", "circle", "band"]
    assert "box around the camera's field" in capsys.readouterr().out


def test_folder_that_is_no_dataset_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--artifact", str(DEFAULT_ARTIFACT), "--dataset", str(tmp_path)]) == 2
    assert "HAM10000_metadata.csv" in capsys.readouterr().err
