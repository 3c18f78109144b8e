"""Other people's tables of predictions: every way to write them that is read, and every row that is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import Task
from model.batch.table import columns_of
from model.evaluation.predictions import PredictionsError
from model.evaluation.submissions import (
    References,
    image_key,
    on_the_same_images,
    read_references,
    read_submission,
    table_of,
)
from model.inference.artifact import DEFAULT_ARTIFACT, OUT_OF_FOLD_FILE

IMAGES = ("ISIC_1", "ISIC_2", "ISIC_3")
TRUE = ("mel", "nv", "bkl")


@pytest.fixture
def references() -> References:
    dx_true = np.array([SKIN.index(code) for code in TRUE])
    return References(SKIN, np.array(IMAGES), np.array(["L1", "L1", "L2"]), dx_true)


def table(columns: tuple[str, ...] = SKIN.codes, image: str = "image_id") -> pd.DataFrame:
    """Three images whose class of the reference has 0.7, as text."""
    shares = np.full((3, 7), 0.05)
    shares[np.arange(3), [SKIN.index(code) for code in TRUE]] = 0.7
    return pd.DataFrame({image: IMAGES, **{column: shares[:, k].astype(str) for k, column in enumerate(columns)}})


def written(frame: pd.DataFrame, separator: str = ",", name: str = "theirs.csv") -> pd.DataFrame:
    return table_of(frame.to_csv(index=False, sep=separator).encode(), name)


@pytest.mark.parametrize(
    "columns",
    [
        SKIN.codes,
        ("AKIEC", "BCC", "BKL", "DF", "MEL", "NV", "VASC"),
        tuple(one.name for one in SKIN.classes),
        ("AK", "basal_cell_carcinoma", "Benign keratosis", "dermatofibroma", "Melanoma", "Naevus", "vascular"),
        tuple(f"prob_{code}" for code in SKIN.codes),
    ],
    ids=["codes", "isic", "names", "other words", "prefixed"],
)
def test_classes_are_found_whatever_they_are_called(references: References, columns: tuple[str, ...]) -> None:
    submission = read_submission(written(table(columns)), references, "theirs.csv")
    assert tuple(submission.columns.values()) == columns
    assert submission.cohort.image_ids.tolist() == list(IMAGES)
    assert submission.cohort.probabilities[0, SKIN.index("mel")] == 0.7
    assert (submission.cohort.dx_predicted == references.dx_true).all()
    assert submission.left_out == () and submission.missing == 0 and not submission.has_decision


def test_rows_come_in_the_order_of_the_references(references: References) -> None:
    submission = read_submission(written(table()[::-1]), references, "theirs.csv")
    assert submission.cohort.image_ids.tolist() == list(IMAGES)
    assert submission.cohort.lesion_ids.tolist() == ["L1", "L1", "L2"]
    assert (submission.cohort.dx_predicted == references.dx_true).all()


@pytest.mark.parametrize("image", ["image", "image_id", "image_name", "isic_id"])
@pytest.mark.parametrize("spelled", ["{}", "{}.jpg", "folder/{}.JPG", "C:\\photos\\{}.png"])
def test_images_are_found_by_name(references: References, image: str, spelled: str) -> None:
    frame = table(image=image)
    frame[image] = [spelled.format(name.lower()) for name in IMAGES]
    assert read_submission(written(frame), references, "theirs.csv").cohort.image_ids.tolist() == list(IMAGES)


def test_a_dot_in_a_name_is_no_ending() -> None:
    assert image_key("visit 1.2") == "visit 1.2" and image_key("a.b.jpg") == "a.b"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_encodings(references: References, separator: str, encoding: str) -> None:
    frame = table()
    if separator != ",":
        frame = frame.map(lambda text: text.replace("0.", "0,"))
    content = frame.to_csv(index=False, sep=separator).encode(encoding)
    submission = read_submission(table_of(content, "theirs.csv"), references, "theirs.csv")
    assert submission.cohort.probabilities.sum(axis=1) == pytest.approx(1)


def test_logits_become_probabilities(references: References) -> None:
    frame = table()
    for code in SKIN.codes:
        frame[code] = np.log(frame[code].astype(float)) + 3
    submission = read_submission(written(frame), references, "theirs.csv", is_logits=True)
    assert submission.cohort.probabilities == pytest.approx(
        read_submission(written(table()), references, "theirs.csv").cohort.probabilities
    )


@pytest.mark.parametrize("is_logits", [False, True])
def test_a_table_with_both_is_read_by_the_columns_that_say_so(references: References, is_logits: bool) -> None:
    both = table().assign(**{f"logit_{code}": "0.5" for code in SKIN.codes})
    submission = read_submission(written(both), references, "theirs.csv", is_logits)
    expected = [f"logit_{code}" for code in SKIN.codes] if is_logits else list(SKIN.codes)
    assert list(submission.columns.values()) == expected


def test_our_own_answers_out_of_fold_are_read() -> None:
    own = table_of((DEFAULT_ARTIFACT / OUT_OF_FOLD_FILE).read_bytes(), OUT_OF_FOLD_FILE)
    submission = read_submission(own, read_references(own, SKIN, OUT_OF_FOLD_FILE), OUT_OF_FOLD_FILE)
    assert not submission.left_out
    assert len(submission.cohort.image_ids) == len(own)


def test_a_decision_of_the_table_counts(references: References) -> None:
    submission = read_submission(written(table().assign(prediction=["nevus", "NV", "bkl"])), references, "theirs.csv")
    assert submission.has_decision
    assert submission.cohort.dx_predicted.tolist() == [SKIN.index(code) for code in ("nv", "nv", "bkl")]


def test_what_predict_writes_is_read(references: References, tmp_path: Path) -> None:
    rows = table(image="image").assign(
        image=[f"{name}.jpg" for name in IMAGES],
        prediction=["mel", "nv", ""],
        p_malignant="0.8",
        conformal_set="mel|nv",
        quality=["ok", "ok", "too_dark"],
        ood_score="1",
        runtime_ms="3",
    )[list(columns_of(SKIN))]
    rows.loc[2, list(SKIN.codes)] = ""
    submission = read_submission(written(rows), references, "out.csv")
    assert submission.cohort.image_ids.tolist() == ["ISIC_1", "ISIC_2"] and submission.missing == 1
    assert [(one.row, one.image, one.reason) for one in submission.left_out] == [
        (4, "ISIC_3.jpg", "no answer: too_dark")
    ]
    numbers = rows[list(SKIN.codes)].apply(pd.to_numeric, errors="coerce")
    rows.assign(**numbers).to_parquet(tmp_path / "out.parquet")
    parquet = table_of((tmp_path / "out.parquet").read_bytes(), "out.parquet")
    assert read_submission(parquet, references, "out.parquet").cohort.image_ids.tolist() == ["ISIC_1", "ISIC_2"]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("image_id", "ISIC_9", "expected an image that has a reference, none is known for it"),
        ("image_id", "", "expected the name of an image, received nothing"),
        ("mel", "much", "expected a number in mel, received much"),
        ("mel", "", "expected a number in mel, received nothing"),
        ("mel", "inf", "expected a number in mel, received inf"),
        ("mel", "-0.05", "expected a probability from 0 to 1 in mel, received -0.05"),
        ("mel", "1.05", "expected a probability from 0 to 1 in mel, received 1.05"),
        ("mel", "0.15", "expected probabilities that sum to 1, received 1.1"),
        ("prediction", "scc", "expected a class of the task as prediction, received scc"),
        ("prediction", "", "expected a class of the task as prediction, received nan"),
    ],
)
def test_a_wrong_row_is_left_out_with_its_reason(references: References, column: str, value: str, reason: str) -> None:
    frame = table().assign(prediction=TRUE)
    frame.loc[1, column] = value
    submission = read_submission(written(frame), references, "theirs.csv")
    (one,) = submission.left_out
    assert (one.row, one.reason) == (3, reason)
    assert submission.cohort.image_ids.tolist() == ["ISIC_1", "ISIC_3"] and submission.missing == 1


def test_of_an_image_that_stands_twice_no_row_counts(references: References) -> None:
    frame = pd.concat([table(), table()[:1].assign(image_id="isic_1.jpg")])
    submission = read_submission(written(frame), references, "theirs.csv")
    assert [(one.row, one.reason) for one in submission.left_out] == [
        (2, "image stands twice"),
        (5, "image stands twice"),
    ]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (table().drop(columns="mel"), r"theirs.csv: expected a column for each of akiec, .*; missing mel$"),
        (table().rename(columns={"image_id": "file"}), r"expected a column image or image_id, found file, akiec"),
        (table().assign(Melanoma="0.1"), "expected one column for mel, found mel and Melanoma"),
        (table().assign(image_id=["a", "b", "c"]), "found none that can be used; row 2, a: expected an image that has"),
    ],
    ids=["class", "image", "twice", "other images"],
)
def test_a_table_that_cannot_be_used_is_refused(references: References, frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(PredictionsError, match=message):
        read_submission(written(frame), references, "theirs.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "could not read it"),
        (b"\x89PNG\r\n\x1a\n\x00", "could not read it"),
        (b"image,mel\n", "found none"),
        (b"a,b\n1,2\n1,2,3\n", "could not read it"),
    ],
)
def test_what_is_no_table_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(PredictionsError, match=f"theirs.csv: .*{message}"):
        table_of(content, "theirs.csv")


@pytest.mark.parametrize(("task", "labels"), [(SKIN, ["Melanoma", "nv", "BKL"]), (RETINA, ["0", "dr2", "Grade 4"])])
def test_labels_are_classes_however_written(task: Task, labels: list[str]) -> None:
    frame = pd.DataFrame({"image": ["a", "b", "c"], "dx": labels, "lesion_id": ["L", "L", ""]})
    references = read_references(written(frame), task, "labels.csv")
    if task is SKIN:
        assert references.dx_true.tolist() == [SKIN.index(code) for code in TRUE]
        # An image without a lesion stands for itself.
        assert references.lesion_ids.tolist() == ["L", "L", "c"] and references.left_out == ()
    else:
        assert references.dx_true.tolist() == [0, 2]
        assert [(one.row, one.reason) for one in references.left_out] == [
            (4, "expected a class of the task, received Grade 4")
        ]


def test_labels_as_the_challenge_publishes_them() -> None:
    frame = table(("AKIEC", "BCC", "BKL", "DF", "MEL", "NV", "VASC"), image="image")
    for code in SKIN.codes:
        frame[code.upper()] = [str(float(code == true)) for true in TRUE]
    references = read_references(written(frame), SKIN, "truth.csv")
    assert references.dx_true.tolist() == [SKIN.index(code) for code in TRUE]
    with pytest.raises(PredictionsError, match="found none"):
        read_references(written(frame.assign(MEL="1.0", NV="1.0")), SKIN, "truth.csv")


def test_grades_are_decided_as_grades() -> None:
    references = References(RETINA, np.array(["a"]), np.array(["a"]), np.array([2]))
    frame = pd.DataFrame({"image": ["a"], "0": ["0.4"], "1": ["0"], "2": ["0.2"], "3": ["0.1"], "4": ["0.3"]})
    # Expected grade 0.4 + 0.3 + 1.2 = 1.9.
    assert read_submission(written(frame), references, "x.csv").cohort.dx_predicted.tolist() == [2]


def test_cohorts_are_brought_to_the_images_that_both_have(references: References) -> None:
    theirs = read_submission(written(table()[::-1][:2]), references, "theirs.csv").cohort
    ours = read_submission(written(table()), references, "ours.csv").cohort
    ours = replace(ours, probabilities=ours.probabilities * np.array([[1.0], [0.5], [0.25]]))
    first, second = on_the_same_images(theirs, ours)
    assert first.image_ids.tolist() == second.image_ids.tolist() == ["ISIC_2", "ISIC_3"]
    assert second.probabilities.sum(axis=1) == pytest.approx([0.5, 0.25])
    nothing, _ = on_the_same_images(theirs, replace(ours, image_ids=np.array(["x", "y", "z"])))
    assert len(nothing.image_ids) == len(nothing.probabilities) == 0
