"""Studies of a made-up manifest as text: every value with its interval, what is missing with its command."""

from __future__ import annotations

from data.tasks.skin import SKIN
from model.evaluation.report import estimate_text, format_sections, table

HALF = {"value": 0.5, "low": 0.25, "high": 0.75}
NOTHING = {"value": None, "low": None, "high": None}


def test_estimate_with_interval_and_what_cannot_be_said() -> None:
    assert estimate_text(HALF) == "0.500 (0.250 to 0.750)"
    assert estimate_text(NOTHING) == "-"


def test_columns_are_aligned() -> None:
    assert table(("a", "bb"), [("long", "1")]).splitlines() == ["a     bb", "long   1"]


def test_missing_study_is_named_with_its_command() -> None:
    text = format_sections({}, SKIN)
    assert "Quality gate: not measured; run python -m model.studies.gate" in text
    assert "Heatmaps: not measured; run python -m model.studies.heatmaps" in text
    assert "Robustness: not measured; run python -m model.studies.robustness" in text


def test_sets_show_coverage_by_class_and_sizes() -> None:
    by_dx = [
        {"dx": "mel", "images": 8, "coverage": HALF, "mean_size": 1.5},
        {"dx": "df", "images": 0, "coverage": NOTHING, "mean_size": None},
    ]
    measured = {
        "images": 8,
        "coverage": HALF,
        "mean_size": HALF | {"value": 1.5},
        "coverage_by_dx": by_dx,
        "size_shares": [0.5, 0.5, 0, 0, 0, 0, 0],
    }
    text = format_sections({"conformal": {"sets": {"level": 0.9, "method": "adaptive"}, "measured": measured}}, SKIN)
    lines = [line.split() for line in text.splitlines()]
    assert ["mel", "8", "0.500", "(0.250", "to", "0.750)", "1.50"] in lines
    assert ["df", "0", "-", "-"] in lines
    assert "sizes: 1: 50.0%, 2: 50.0%" in text


def test_too_small_groups_say_so() -> None:
    names = ("balanced_accuracy", "positive_auroc", "sensitivity", "specificity")
    group = {"attribute": "sex", "group": "male", "images": 3, "positive_lesions": 1, "negative_lesions": 2}
    text = format_sections({"subgroups": [group | dict.fromkeys(names, NOTHING) | {"is_too_small": True}]}, SKIN)
    row = next(line for line in text.splitlines() if line.startswith("sex: male"))
    assert row.split() == ["sex:", "male", "3", "1/2", "-", "-", "-", "-", "too", "small"]


def test_empty_bins_are_left_out() -> None:
    bins = {"stated": [None, 0.75], "observed": [None, 0.5], "images": [0, 4]}
    text = format_sections({"reliability": {"top_class": bins}}, SKIN)
    assert ["0.750", "0.500", "4"] in [line.split() for line in text.splitlines()]
    assert "None" not in text


def test_gate_says_what_should_have_happened() -> None:
    row = {"source": "photos", "should_be_refused": True, "images": 4, "refused": HALF}
    text = format_sections({"gate": {"sources": [row, {**row, "source": "lesions", "should_be_refused": False}]}}, SKIN)
    lines = [line.split() for line in text.splitlines()]
    assert ["photos", "4", "0.500", "(0.250", "to", "0.750)", "refused"] in lines
    assert ["lesions", "4", "0.500", "(0.250", "to", "0.750)", "answered"] in lines


def test_robustness_shows_the_unperturbed_first() -> None:
    metrics = {"balanced_accuracy": HALF, "gravest_auroc": HALF}
    effects = dict.fromkeys(("decision_flips", "class_changes", "balanced_accuracy_difference"), HALF)
    section = {"images": 9, "unperturbed": metrics, "perturbations": [{"name": "Ink", **effects, "metrics": metrics}]}
    lines = format_sections({"robustness": section}, SKIN).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("Robustness, 9 images"))
    assert lines[first + 1].startswith("unperturbed") and lines[first + 2].startswith("Ink")
    assert lines[first + 2].count("0.500 (0.250 to 0.750)") == 5


def test_heatmaps_are_followed_by_noise_and_randomised_networks_where_these_were_measured() -> None:
    names = ("energy_inside", "pointing", "iou", "insertion", "deletion", "faithfulness")
    older = {"methods": [{"method": "Grad-CAM", "images": 8, "measures": dict.fromkeys(names, HALF)}]}
    alike = {"rank_correlation": NOTHING, "absolute_rank_correlation": HALF, "correlation": HALF}
    stages = [("output", 0.0), ("head", 0.0), ("backbone", 0.375), ("backbone", 1.0)]
    newer = older | {
        "noise": {"images": 1234, "samples": 10, "levels": 5, "change": HALF},
        "randomisation": {
            "images": 8,
            "stages": [
                {"part": part, "backbone_share": share, "without_evidence": 2} | alike for part, share in stages
            ],
        },
    }
    text = format_sections({"heatmaps": newer}, SKIN)
    assert "under noise of up to 5 of 255 levels, 10 copies, 1,234 images: 0.500 (0.250 to 0.750)" in text
    lines = text.splitlines()
    values = ["2", "-", *("0.500 (0.250 to 0.750)".split() * 2)]
    for name in ("output layer", "and all above the backbone", "and 37.5% of the backbone's layers"):
        (line,) = [line for line in lines if line.startswith(name)]
        assert line.removeprefix(name).split() == values
    assert (
        format_sections({"heatmaps": older}, SKIN)
        == text.split("\n\nLargest change")[0] + text[text.index("\n\nRobu") :]
    )
