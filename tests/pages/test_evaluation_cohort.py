"""The Evaluation page of a cohort that Dataset has handed over by the address."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.answer.cohort import described, dropped
from dashboard.evaluation import wording
from dashboard.evaluation.sections import SECTIONS
from dashboard.shell.glossary import metric_of
from data.datasets.cohort import CohortFilter, filter_rows
from data.tasks.skin import SKIN
from model.evaluation.predictions import cohort_of
from model.evaluation.results import evaluate
from tests.support.dashboard import (
    EXPORTED_STUDIES,
    LATER_STUDIES,
    environment,
    made_up_predictions,
    run_page,
    shown_text,
    write_artifact,
)

WANTED = CohortFilter(dx=("mel", "nv"), min_age=60, keeps_unknown_age=False)
ADDRESS: dict[str, str | list[str]] = {"dx": ["mel", "nv"], "age": "60-85", "unknown_age": "no"}
# Sections of which every figure is computed of the predictions.
COMPUTED = {"summary", "decisions", "errors"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_artifact(tmp_path_factory.mktemp("artifact"), [*EXPORTED_STUDIES, *LATER_STUDIES])


def test_a_cohort_is_measured_on_its_own_images(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = filter_rows(made_up_predictions(), WANTED)
    assert 0 < len(kept) < len(made_up_predictions())
    with environment(monkeypatch, MODEL_DIR=folder):
        page = run_page("evaluation", **ADDRESS)
        assert not page.exception and not page.error
        lesions = kept["lesion_id"].nunique()
        assert wording.cohort(SKIN, WANTED, len(kept), lesions, len(made_up_predictions())) in shown_text(page)
        assert f"locked test lesions of HAM10000, {len(kept)} images, {lesions} lesions" in shown_text(page)
        measured = evaluate(cohort_of(kept, SKIN))
        expected = metric_of("balanced_accuracy", SKIN).format(measured.balanced_accuracy.value)
        assert page.metric[0].value == expected
        # And back to all.
        page.button(key="evaluation_clear_cohort").click().run()
        assert page.query_params == {} and f"{len(made_up_predictions())} images" in shown_text(page)
        assert page.metric[0].value != expected


@pytest.mark.parametrize("section", [section.key for section in SECTIONS])
@pytest.mark.parametrize("address", [ADDRESS, {"dx": "mel"}], ids=["two", "one side"])
def test_every_section_stands_a_cohort_and_says_what_was_stored(
    folder: Path, monkeypatch: pytest.MonkeyPatch, section: str, address: dict[str, str | list[str]]
) -> None:
    with environment(monkeypatch, MODEL_DIR=folder):
        page = run_page("evaluation", section=section, **address)
    assert not page.exception and not page.error
    says_stored = SKIN.worded(wording.STORED_FOR_ALL) in shown_text(page)
    assert says_stored == (section not in COMPUTED)
    assert (SKIN.worded(wording.ONE_SIDE) in shown_text(page)) == (address != ADDRESS)


def test_a_cohort_without_test_images_says_so_and_shows_no_figure(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with environment(monkeypatch, MODEL_DIR=folder):
        page = run_page("evaluation", dx="mel", localization="scalp")
    assert not page.exception and not page.metric and not page.tabs
    assert "none. Widen the filter on Dataset" in shown_text(page)


def test_what_a_link_asks_for_in_vain_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with environment(monkeypatch, MODEL_DIR=folder):
        page = run_page("evaluation", dx="wart")
    assert [info.value for info in page.info] == [dropped(["dx=wart"])]
    assert f"{len(made_up_predictions())} images" in shown_text(page)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (CohortFilter(), ""),
        (CohortFilter(dx=("mel", "bcc"), sex=("male",)), "diagnosis mel or bcc; sex male"),
        (WANTED, "diagnosis mel or nv; ages 60 to 85"),
        (CohortFilter(max_age=20, localization=("back",)), "site back; ages 0 to 20, or unknown"),
        (CohortFilter(keeps_unknown_age=False), "age known"),
        (CohortFilter(dx_type=("histo", "unknown")), "confirmed by histopathology or means not stated"),
    ],
)
def test_a_filter_in_words(wanted: CohortFilter, text: str) -> None:
    assert described(SKIN, wanted) == text
