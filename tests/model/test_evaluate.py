"""The evaluation of a small cohort worked out by hand, refused tables, and the command line."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from model.evaluate import main
from model.evaluation.predictions import (
    Cohort,
    PredictionsError,
    check_predictions,
    cohort_of,
    load_predictions,
    prediction_columns,
)
from model.evaluation.results import Evaluation, evaluate, evaluation_to_dict, roc_curves
from model.measures.intervals import Estimate
from model.measures.metrics import reweigh_ppv_npv
from model.measures.shares import BinaryThresholds
from tests.support.dashboard import made_up_predictions, write_artifact

# lesion, dx, prediction, and the probabilities that are not 0. Seven images of six lesions.
ROWS: tuple[tuple[str, str, str, dict[str, float]], ...] = (
    ("L1", "mel", "mel", {"mel": 0.5, "nv": 0.5}),
    ("L1", "mel", "mel", {"mel": 0.4, "nv": 0.6}),  # the decision is not the argmax
    ("L2", "mel", "nv", {"mel": 0.1, "nv": 0.9}),
    ("L3", "nv", "nv", {"mel": 0.1, "nv": 0.9}),
    ("L4", "nv", "nv", {"mel": 0.2, "nv": 0.8}),
    ("L5", "nv", "mel", {"mel": 0.6, "nv": 0.4}),
    ("L6", "bcc", "bcc", {"bcc": 0.9, "nv": 0.1}),
)


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "image_id": f"I{number}",
                "lesion_id": lesion,
                "dx": dx,
                "dx_type": "histo",
                "age": 45.0 if number else np.nan,
                "sex": "female",
                "localization": "unknown",
                **{code: shares.get(code, 0.0) for code in SKIN.codes},
                "prediction": prediction,
            }
            for number, (lesion, dx, prediction, shares) in enumerate(ROWS)
        ]
    )


@pytest.fixture
def cohort(table: pd.DataFrame) -> Cohort:
    return cohort_of(table, SKIN)


@pytest.fixture
def predictions_path(table: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "predictions.csv"
    table.to_csv(path, index=False)
    return path


def is_nan(estimate: Estimate) -> bool:
    return all(math.isnan(bound) for bound in dataclasses.astuple(estimate))


def test_a_table_survives_the_file(table: pd.DataFrame, predictions_path: Path) -> None:
    read = load_predictions(predictions_path, SKIN)
    assert list(read.columns) == list(prediction_columns(SKIN))
    assert math.isnan(read["age"][0])
    assert read["localization"].eq("unknown").all()
    assert np.array_equal(read[list(SKIN.codes)].to_numpy(), table[list(SKIN.codes)].to_numpy())


def test_a_table_may_have_other_columns_in_any_order(table: pd.DataFrame) -> None:
    shuffled = table.assign(ood_score=1.0)[["ood_score", *reversed(table.columns)]]
    assert list(check_predictions(shuffled, "x.csv", SKIN).columns) == list(prediction_columns(SKIN))


def test_a_cohort_holds_aligned_arrays(cohort: Cohort) -> None:
    assert cohort.image_ids[6] == "I6"
    assert cohort.lesion_ids.tolist() == ["L1", "L1", "L2", "L3", "L4", "L5", "L6"]
    assert cohort.dx_true.tolist() == [4, 4, 4, 5, 5, 5, 1]
    assert cohort.dx_predicted.tolist() == [4, 4, 5, 5, 5, 4, 1]
    assert cohort.probabilities.shape == (7, 7)
    assert cohort.is_positive.tolist() == [True, True, True, False, False, False, True]
    assert cohort.p_positive == pytest.approx([0.5, 0.4, 0.1, 0.1, 0.2, 0.6, 0.9])


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (3, "dx", "melanoma", r"row 5, dx: expected one of akiec, .*, vasc, received melanoma"),
        (0, "prediction", "scc", r"row 2, prediction: expected one of akiec, .*, received scc"),
        (2, "mel", -0.1, r"row 4, mel: expected a probability from 0 to 1, received -0.1"),
        (2, "mel", 1.5, r"row 4, mel: expected a probability from 0 to 1, received 1.5"),
        (2, "mel", math.inf, r"row 4, mel: expected a probability from 0 to 1, received inf"),
        (1, "mel", 0.402, r"row 3, sum of the probabilities: expected 1, received 1.002"),
        (1, "mel", np.nan, r"row 3, mel: expected a value, received nothing"),
        (6, "lesion_id", None, r"row 8, lesion_id: expected a value, received nothing"),
        (6, "sex", None, r"row 8, sex: expected a value, received nothing"),
        (4, "image_id", "I0", r"row 6, image_id: expected each image once, received I0"),
    ],
)
def test_a_wrong_value_is_refused_with_its_row(
    table: pd.DataFrame, row: int, column: str, value: object, message: str
) -> None:
    table.loc[row, column] = value
    with pytest.raises(PredictionsError, match=r"^given\.csv, " + message):
        check_predictions(table, "given.csv", SKIN)


@pytest.mark.parametrize("column", ["mel", "age"])
def test_text_for_a_number_is_refused(table: pd.DataFrame, column: str) -> None:
    table[column] = table[column].astype(object)
    table.loc[1, column] = "much"
    with pytest.raises(PredictionsError, match=f"row 3, {column}: expected a number, received much"):
        check_predictions(table, "given.csv", SKIN)


def test_sums_within_rounding_pass(table: pd.DataFrame) -> None:
    table.loc[1, "mel"] = 0.4009
    assert len(check_predictions(table, "given.csv", SKIN)) == 7


def test_missing_columns_are_named(table: pd.DataFrame) -> None:
    with pytest.raises(PredictionsError, match=r"given.csv: expected columns .*; missing dx_type, prediction$"):
        check_predictions(table.drop(columns=["prediction", "dx_type"]), "given.csv", SKIN)


def test_a_table_without_rows_is_refused(table: pd.DataFrame) -> None:
    with pytest.raises(PredictionsError, match="received none"):
        check_predictions(table[:0], "given.csv", SKIN)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\xd8", b'a,b\n1,2\n1,2,3,"4\n'])
def test_a_file_that_is_no_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.csv"
    path.write_bytes(content)
    with pytest.raises(PredictionsError, match=r"picture\.csv: expected a CSV of predictions, could not read it"):
        load_predictions(path, SKIN)


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PredictionsError, match="found none"):
        load_predictions(tmp_path / "absent.csv", SKIN)
    with pytest.raises(PredictionsError, match="could not read it"):
        load_predictions(tmp_path, SKIN)


def test_the_evaluation_by_hand(cohort: Cohort) -> None:
    evaluation = evaluate(cohort, resamples=200, seed=1)
    assert (evaluation.images, evaluation.lesions, evaluation.resamples, evaluation.seed) == (7, 6, 200, 1)
    assert evaluation.accuracy.value == pytest.approx(5 / 7)
    # Sensitivities: bcc 1 of 1, mel 2 of 3, nv 2 of 3; the other classes have no images.
    assert evaluation.balanced_accuracy.value == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    # Malignant 0.5, 0.4, 0.1, 0.9 against benign 0.1, 0.2, 0.6: 0.5 wins 2, 0.4 wins 2, 0.1 ties 1, 0.9 wins 3.
    assert evaluation.positive_auroc.value == pytest.approx(7.5 / 12)
    # mel 0.5, 0.4, 0.1 against 0.1, 0.2, 0.6, 0: 3 + 3 + 1.5 of 12. nv 0.9, 0.8, 0.4 against 0.5, 0.6, 0.9, 0.1:
    # 3.5 + 3 + 1 of 12. bcc 0.9 beats all.
    assert evaluation.macro_auroc.value == pytest.approx((1 + 7.5 / 12 + 7.5 / 12) / 3)
    # Highest probabilities (right?): 0.5 (mel, the first of the tie: right), 0.6 (nv, wrong), 0.9 (nv, wrong), 0.9,
    # 0.8 (right), 0.6 (mel, wrong), 0.9 (right). Bins of 1/15: 0.5 | 0.6, 0.6 | 0.8 | 0.9 three times:
    # |0.5 - 1| + |1.2 - 0| + |0.8 - 1| + |2.7 - 2| = 2.6 over 7 images.
    assert evaluation.calibration_error.value == pytest.approx(2.6 / 7)
    overall = (evaluation.accuracy, evaluation.balanced_accuracy)
    assert all(0 <= estimate.low <= estimate.value <= estimate.high <= 1 for estimate in overall)
    # Two, four and one lesions a class: too few for an interval of areas.
    assert math.isnan(evaluation.macro_auroc.low) and math.isnan(evaluation.positive_auroc.low)
    error = evaluation.calibration_error
    assert math.isnan(error.low) and 0 < error.chance_median <= error.chance_high <= 1
    expected = np.zeros((7, 7), dtype=int)
    expected[[1, 4, 4, 5, 5], [1, 4, 5, 5, 4]] = [1, 2, 1, 2, 1]
    assert evaluation.confusion.tolist() == expected.tolist()


def test_one_class_against_the_rest_by_hand(cohort: Cohort) -> None:
    per_class = evaluate(cohort, resamples=50).per_class
    assert tuple(row.dx for row in per_class) == SKIN.codes
    mel = per_class[SKIN.index("mel")]
    # 3 images of 2 lesions; 2 found; 1 of 4 others called mel; 3 called, 4 not.
    assert (mel.images, mel.lesions) == (3, 2)
    values = [rate.value for rate in (mel.sensitivity, mel.specificity, mel.ppv, mel.npv, mel.auroc)]
    assert values == pytest.approx([2 / 3, 3 / 4, 2 / 3, 3 / 4, 7.5 / 12])


def test_a_class_without_images_is_nan_where_it_must_be(cohort: Cohort) -> None:
    df = evaluate(cohort, resamples=50).per_class[SKIN.index("df")]
    assert (df.images, df.lesions) == (0, 0)
    assert all(is_nan(estimate) for estimate in (df.sensitivity, df.ppv, df.auroc))
    # Nobody was called df, and rightly so; seven images of six lesions, two of one, leave room for doubt: they are
    # worth 49 / 9 trials, 0.025 ** (9 / 49) = 0.508.
    assert df.specificity == Estimate(1.0, pytest.approx(0.508, abs=1e-3), 1.0)
    assert df.npv.value == 1.0


def test_one_image_and_none(table: pd.DataFrame) -> None:
    one = evaluate(cohort_of(table[:1], SKIN), resamples=20)
    assert (one.images, one.lesions, one.accuracy.value, one.balanced_accuracy.value) == (1, 1, 1.0, 1.0)
    assert is_nan(one.macro_auroc)
    none = evaluate(cohort_of(table[:0], SKIN), resamples=20)
    assert (none.images, none.lesions, none.confusion.sum()) == (0, 0, 0)
    assert all(is_nan(e) for e in (none.accuracy, none.balanced_accuracy, none.macro_auroc, none.calibration_error))
    assert all(is_nan(curve.auroc) for curve in roc_curves(cohort_of(table[:0], SKIN), resamples=20))


def test_grades_are_measured_as_grades_and_by_every_question(table: pd.DataFrame) -> None:
    # Seven eyes: one missed by one grade, one by three.
    true, predicted = [0, 0, 1, 2, 3, 4, 4], [0, 0, 1, 2, 2, 4, 1]
    certain = pd.DataFrame(np.eye(5)[predicted], columns=list(RETINA.codes))
    named = {
        "lesion_id": [f"E{number}" for number in range(7)],
        "dx": [RETINA.codes[grade] for grade in true],
        "prediction": [RETINA.codes[grade] for grade in predicted],
    }
    rows = pd.concat([table.drop(columns=list(SKIN.codes)).assign(**named), certain], axis=1)
    cohort = cohort_of(check_predictions(rows, "x.csv", RETINA), RETINA)
    found = evaluate(cohort, resamples=200)
    assert found.grade_error is not None and found.grade_error.value == pytest.approx(4 / 7)
    assert 0 <= found.grade_error.low < 4 / 7 < found.grade_error.high <= 3
    # Of three severe or proliferative eyes one is called so, of the four others none.
    assert found.further_auroc is not None
    assert [area.value for area in found.further_auroc] == pytest.approx([2 / 3])
    assert found.positive_auroc.value == pytest.approx(7 / 8)
    assert evaluation_to_dict(found)["grade_error"]["value"] == pytest.approx(4 / 7)
    assert cohort.asked(RETINA.further[0]).is_positive.tolist() == [False] * 4 + [True] * 3
    none = evaluate(cohort_of(rows[:0], RETINA), resamples=20)
    assert none.grade_error is not None and is_nan(none.grade_error)


def test_classes_that_are_names_have_no_grade_error(cohort: Cohort) -> None:
    found = evaluate(cohort, resamples=20)
    assert found.grade_error is None and found.weighted_kappa is None and found.further_auroc is None
    assert not {"grade_error", "further_auroc"} & evaluation_to_dict(found).keys()


def test_evaluation_refuses_no_resamples(cohort: Cohort) -> None:
    with pytest.raises(ValueError, match="at least one bootstrap sample"):
        evaluate(cohort, resamples=0)


def test_roc_curves(cohort: Cohort) -> None:
    curves = {curve.name: curve for curve in roc_curves(cohort, resamples=100, seed=1)}
    assert tuple(curves) == (*SKIN.codes, "macro", "malignant")
    evaluation = evaluate(cohort, resamples=100, seed=1)
    assert curves["mel"].auroc == evaluation.per_class[SKIN.index("mel")].auroc
    assert curves["macro"].auroc == evaluation.macro_auroc
    assert curves["malignant"].auroc == evaluation.positive_auroc
    malignant = curves["malignant"]
    assert (malignant.positives, malignant.negatives) == (4, 3)
    # In falling order: 0.9 +, 0.6 -, 0.5 +, 0.4 +, 0.2 -, 0.1 + and - tied.
    assert malignant.threshold == pytest.approx([math.inf, 0.9, 0.6, 0.5, 0.4, 0.2, 0.1])
    assert malignant.sensitivity == pytest.approx([0, 0.25, 0.25, 0.5, 0.75, 0.75, 1])
    assert malignant.false_positive_rate == pytest.approx([0, 0, 1 / 3, 1 / 3, 1 / 3, 2 / 3, 1])
    assert malignant.band_grid.shape == malignant.band_low.shape == malignant.band_high.shape == (101,)
    # Where the area has no interval, the curve has no band.
    assert np.isnan(malignant.band_low).all() and np.isnan(curves["df"].band_low).all()


def test_curves_of_enough_lesions_have_a_band(table: pd.DataFrame) -> None:
    copies = [table.assign(**{name: table[name] + f"_{k}" for name in ("image_id", "lesion_id")}) for k in range(25)]
    curves = {curve.name: curve for curve in roc_curves(cohort_of(pd.concat(copies), SKIN), resamples=50)}
    malignant = curves["malignant"]
    assert malignant.auroc.low < malignant.auroc.value < malignant.auroc.high
    assert (malignant.band_low <= malignant.band_high).all()
    # 25 lesions are of bcc.
    assert math.isnan(curves["bcc"].auroc.low) and np.isnan(curves["bcc"].band_low).all()


def test_the_macro_curve_is_the_mean_of_the_classes_that_have_one(cohort: Cohort) -> None:
    curves = {curve.name: curve for curve in roc_curves(cohort, resamples=20)}
    macro = curves["macro"]
    assert (macro.false_positive_rate[0], macro.sensitivity[0]) == (0, 0)
    # At false-positive rate 0: bcc finds all, mel (0.6 of another leads) none, nv (a tie at 0.9 leads) none.
    assert (macro.false_positive_rate[1], macro.sensitivity[1]) == (0, pytest.approx(1 / 3))
    assert macro.sensitivity[-1] == 1
    assert np.isnan(macro.threshold).all()
    # bcc 1 and 6, mel 3 and 4, nv 3 and 4.
    assert (macro.positives, macro.negatives) == (7, 14)


def test_an_evaluation_survives_json(cohort: Cohort) -> None:
    evaluation = evaluate(cohort, resamples=20)
    stored = json.loads(json.dumps(evaluation_to_dict(evaluation), allow_nan=False))
    # What only grades and further questions have is left out.
    assert stored.keys() == {field.name for field in fields(Evaluation)} - {"grade_error", "further_auroc"}
    assert estimate_of_stored(stored["balanced_accuracy"]) == evaluation.balanced_accuracy
    assert estimate_of_stored(stored["per_class"][4]["sensitivity"]) == evaluation.per_class[4].sensitivity
    assert is_nan(evaluation.per_class[SKIN.index("df")].sensitivity)
    assert stored["per_class"][3]["sensitivity"] == {"value": None, "low": None, "high": None}
    assert stored["confusion"] == evaluation.confusion.tolist()


def estimate_of_stored(stored: dict[str, float]) -> Estimate:
    return Estimate(stored["value"], stored["low"], stored["high"])


def test_the_threshold_functions_are_offered_here(cohort: Cohort) -> None:
    metrics = BinaryThresholds(cohort.is_positive, cohort.p_positive, cohort.lesion_ids).at(0.4)
    # At 0.4: 0.5, 0.4, 0.9 of four malignant images, and 0.6 of three benign ones.
    assert (metrics.sensitivity.value, metrics.ppv.value) == (0.75, 0.75)
    assert metrics.specificity.value == pytest.approx(2 / 3)
    assert reweigh_ppv_npv(0.75, 0.75, 0.5) == (0.75, 0.75)


def test_the_command_line_prints_tables_of_a_file(predictions_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--predictions", str(predictions_path), "--resamples", "50", "--seed", "3"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("predictions.csv, all of its rows: 7 images of 6 lesions\n")
    assert "50 bootstrap samples of lesions, seed 3" in printed
    assert "balanced accuracy" in printed
    assert "0.778 (" in printed
    assert "no operating points" in printed
    # The confusion matrix' row of mel: two right, one taken for nv.
    assert ["mel", "0", "0", "0", "0", "2", "1", "0"] in [line.split() for line in printed.splitlines()]


def test_the_command_line_measures_an_artifact(
    table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.to_csv(tmp_path / "test_predictions.csv", index=False)
    manifest = {
        "name": "skin",
        "version": "1.0",
        "operating_points": [{"name": "sensitivity_75", "threshold": 0.4, "target_sensitivity": 0.75}],
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    output = tmp_path / "metrics.json"
    assert main(["--artifact", str(tmp_path), "--resamples", "20", "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("HAM10000, locked test split, model skin 1.0: 7 images of 6 lesions\n")
    assert "sensitivity_75" in printed
    written = json.loads(output.read_text())
    assert written["data"] == "HAM10000, locked test split, model skin 1.0"
    assert written["operating_points"][0]["counts"]["true_positives"] == 3
    assert written["operating_points"][0]["sensitivity"]["value"] == 0.75
    assert written["images"] == 7


def test_the_command_line_tries_an_artifacts_thresholds_on_another_file(
    predictions_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"operating_points": [{"name": "p", "threshold": 0.2}]}))
    arguments = ["--predictions", str(predictions_path), "--artifact", str(tmp_path), "--resamples", "5"]
    assert main(arguments) == 0
    assert "0.2000" in capsys.readouterr().out


def test_the_command_line_refuses_a_wrong_file(
    table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.csv"
    table.drop(columns="dx").to_csv(path, index=False)
    assert main(["--predictions", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "missing dx" in captured.err
    assert main(["--artifact", str(tmp_path / "absent")]) == 2
    assert "found none" in capsys.readouterr().err


@pytest.mark.parametrize("manifest", ["{", "[1]", '{"operating_points": [{"name": "p"}]}', '{"operating_points": 3}'])
def test_the_command_line_refuses_a_broken_manifest(
    table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str], manifest: str
) -> None:
    table.to_csv(tmp_path / "test_predictions.csv", index=False)
    (tmp_path / "manifest.json").write_text(manifest)
    assert main(["--artifact", str(tmp_path)]) == 2
    assert "manifest.json: expected" in capsys.readouterr().err


def test_the_command_line_refuses_an_output_it_cannot_write(
    predictions_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "absent" / "metrics.json")
    assert main(["--predictions", str(predictions_path), "--resamples", "5", "--output", output]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--resamples", "0"], ["--seed", "-1"], ["--resamples", "many"]])
def test_the_command_line_refuses_wrong_numbers(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(wrong)
    assert stopped.value.code == 2
    assert wrong[0] in capsys.readouterr().err


# --- Two models on the same images -----------------------------------------------------------------------------------


def as_theirs(table: pd.DataFrame) -> pd.DataFrame:
    """The same probabilities as an ISIC submission, with the highest one as the decision."""
    columns = {code: code.upper() for code in SKIN.codes}
    return table[["image_id", *SKIN.codes]].rename(columns={"image_id": "image", **columns})


def test_the_command_line_compares_two_files(
    table: pd.DataFrame, predictions_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs, labels, output = tmp_path / "theirs.csv", tmp_path / "labels.csv", tmp_path / "compared.json"
    as_theirs(table)[:6].to_csv(theirs, index=False)
    table[["image_id", "dx", "lesion_id"]].to_csv(labels, index=False)
    files = ["--predictions", str(predictions_path), "--against", str(theirs), "--labels", str(labels)]
    assert main([*files, "--resamples", "20", "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("First: predictions.csv. Second: theirs.csv. Labels: labels.csv.\n6 images of 5 lesions")
    written = json.loads(output.read_text())
    named = next(row for row in written["rows"] if row["metric"] == "balanced_accuracy")
    # The decision of the second melanoma is not its highest probability: 2 of 3 found against 1 of 3; nevi 2 of 3.
    assert (named["first"], named["second"]) == (pytest.approx(2 / 3), pytest.approx(1 / 2))
    assert named["difference"] == pytest.approx(1 / 6)
    decided = next(row for row in written["rows"] if row["metric"] == "mcnemar_all")
    assert (decided["only_first"], decided["only_second"], decided["p_exact"]) == (1, 0, 1.0)
    # Labels of the table itself say the same.
    assert main([*files[:4], "--resamples", "20"]) == 0
    assert capsys.readouterr().out.replace("Labels: predictions.csv", "Labels: labels.csv") == printed


def test_the_command_line_compares_an_artifact_s_own_predictions(
    table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact, theirs = tmp_path / "mine", tmp_path / "theirs.csv"
    artifact.mkdir()
    table.to_csv(artifact / "test_predictions.csv", index=False)
    (artifact / "manifest.json").write_text(json.dumps({"operating_points": [{"name": "p", "threshold": 0.4}]}))
    as_theirs(table).to_csv(theirs, index=False)
    assert main(["--against", str(theirs), "--artifact", str(artifact), "--resamples", "5"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("First: mine. Second: theirs.csv. Labels: locked test images of mine.\n")
    assert "sensitivity at 0.4000 (n = 4)" in printed
    # Labels of another file count, where there are some.
    labels = tmp_path / "labels.csv"
    table.assign(dx="nv")[["image_id", "dx"]].to_csv(labels, index=False)
    assert main(["--against", str(theirs), "--artifact", str(artifact), "--labels", str(labels)]) == 0
    assert "(n = 0)" in capsys.readouterr().out


def test_the_command_line_measures_foreign_predictions_with_labels(
    table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs, labels = tmp_path / "theirs.csv", tmp_path / "labels.csv"
    as_theirs(table).assign(MEL="much").to_csv(theirs, index=False)
    table.to_csv(labels, index=False)
    files = ["--predictions", str(theirs), "--labels", str(labels)]
    assert main([*files, "--resamples", "5"]) == 2
    assert "row 2, I0: expected a number in MEL, received much" in capsys.readouterr().err
    partly = as_theirs(table).astype(object)
    partly.loc[2, "MEL"] = "much"
    partly.to_csv(theirs, index=False)
    assert main([*files, "--resamples", "5"]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("theirs.csv, labels of labels.csv: 6 images of 5 lesions\n")
    assert captured.err == (
        "theirs.csv, row 4, I2: expected a number in MEL, received much\ntheirs.csv: 1 row left out\n"
    )


def test_the_command_line_refuses_tables_without_common_images(
    table: pd.DataFrame, predictions_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = tmp_path / "theirs.csv"
    as_theirs(table).assign(image="other").to_csv(theirs, index=False)
    assert main(["--predictions", str(predictions_path), "--against", str(theirs)]) == 2
    assert "expected predictions of images that have a reference" in capsys.readouterr().err
    assert main(["--predictions", str(predictions_path), "--against", str(tmp_path / "absent.csv")]) == 2
    assert "could not read it" in capsys.readouterr().err


def test_every_question_of_a_task_is_printed_with_its_thresholds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output = write_artifact(tmp_path / "retina", task=RETINA), tmp_path / "metrics.json"
    assert main(["--artifact", str(folder), "--resamples", "20", "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    heads = ["weighted kappa", "grade error", "referable auroc", "vision threatening auroc"]
    assert [name for name in heads if f"\n{name} " in printed] == heads
    assert "\nVision-threatening against not vision-threatening " in printed
    assert "bootstrap samples of eyes" in printed and "not vision-threatening, all" in printed
    # Nothing is asked of facts that no answer uses, and of repeat photographs that there are none of.
    assert "Age and body site" not in printed and "Repeatability" not in printed
    written, table = json.loads(output.read_text()), made_up_predictions(RETINA)
    labels, dx = list(RETINA.codes), table["dx"]
    kappa = reference.cohen_kappa_score(dx, table["prediction"], labels=labels, weights="quadratic")
    assert written["weighted_kappa"]["value"] == pytest.approx(kappa)
    (further,) = written["further_questions"]
    (point,) = further["operating_points"]
    is_grave, score = dx.isin(["dr3", "dr4"]), table[["dr3", "dr4"]].sum(axis=1)
    assert written["further_auroc"][0]["value"] == pytest.approx(reference.roc_auc_score(is_grave, score))
    assert point["sensitivity"]["value"] == pytest.approx((score[is_grave] >= 0.25).mean())
    assert point["specificity"]["value"] == pytest.approx((score[~is_grave] < 0.25).mean())


@pytest.mark.parametrize(("task", "has_masks"), [("skin", True), ("retina", False)])
def test_heatmaps_are_held_against_masks_where_there_are_any(
    task: str, has_masks: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--task", task, "--resamples", "20"]) == 0
    printed = capsys.readouterr().out
    assert ("energy inside" in printed) is has_masks and "insertion" in printed
