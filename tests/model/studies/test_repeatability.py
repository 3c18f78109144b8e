"""How far repeat photographs differ: pairs and levels by hand, and what the committed artifact says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from model.evaluation.predictions import Cohort
from model.inference.artifact import DEFAULT_ARTIFACT, MANIFEST_FILE, load_artifact
from model.inference.measured import MIN_PAIRS
from model.studies.repeatability import EDGES, main, measure_levels, pairs_of, study
from tests.support.dashboard import write_artifact

ARTIFACT = load_artifact(DEFAULT_ARTIFACT)
MEL, NV = SKIN.index("mel"), SKIN.index("nv")


def test_pairs_are_of_one_lesion() -> None:
    p = np.array([0.1, 0.5, 0.3, 0.9, 0.2])
    lesions = np.array(["b", "a", "b", "c", "b"])
    probabilities = np.zeros((5, len(SKIN.codes)))
    probabilities[:, MEL], probabilities[:, NV] = p, 1 - p
    one, other, of = pairs_of(Cohort(SKIN, lesions, lesions, np.zeros(5, int), probabilities, np.zeros(5, int)))
    assert sorted(zip(one, other, of, strict=True)) == [(0.1, 0.2, "b"), (0.1, 0.3, "b"), (0.3, 0.2, "b")]


def test_so_many_of_the_pairs_stay_within_the_difference() -> None:
    differences = np.arange(1, 101) / 100
    (level,) = measure_levels(np.full(100, 0.3), differences, np.array([f"l{n}" for n in range(100)]))
    assert (level.low, level.high, level.pairs, level.lesions) == (0.2, 0.4, 100, 100)
    assert (level.median.value, level.largest.value) == (0.5, 0.95)
    assert level.median.low < 0.5 < level.median.high


def test_highest_level_holds_certainty_and_levels_without_pairs_are_left_out() -> None:
    levels = measure_levels(np.array([0.0, 1.0]), np.array([0.01, 0.02]), np.array(["a", "b"]))
    assert [(level.low, level.largest.value) for level in levels] == [(0.0, 0.01), (0.8, 0.02)]


def test_committed_section_is_what_the_study_gives() -> None:
    stored = ARTIFACT.manifest["repeatability"]
    measured = study(ARTIFACT)
    assert stored["pairs"] == measured["pairs"] == sum(level["pairs"] for level in stored["of_mean"])
    for name in ("of_one", "of_mean"):
        for one, other in zip(stored[name], measured[name], strict=True):
            assert one["largest"] == pytest.approx(other["largest"])


def test_level_of_a_probability() -> None:
    assert [one.low for one in ARTIFACT.repeats_of_one] == list(EDGES[:-1])
    for p, low in ((0.0, 0.0), (0.02, 0.02), (0.399, 0.2), (1.0, 0.8)):
        found = ARTIFACT.repeats_at(p)
        assert found is not None and found.low == low and found.pairs >= MIN_PAIRS
    # Knowing one of the two says less than knowing their mean.
    one, mean = ARTIFACT.repeats_at(0.01), ARTIFACT.repeats_around(0.01)
    assert one is not None and mean is not None and one.difference > mean.difference


def test_dataset_without_repeats_is_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_artifact(tmp_path / "eyes", ["conformal"], RETINA, "eyes")
    before = (folder / MANIFEST_FILE).read_bytes()
    main(["--artifact", str(folder)])
    expected = "Not measured: APTOS 2019 has no repeat photographs of one eye; nothing was written.\n"
    assert capsys.readouterr().out == expected
    assert (folder / MANIFEST_FILE).read_bytes() == before
