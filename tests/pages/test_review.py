"""The Review page under AppTest, with the committed model and our own synthetic samples."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dashboard.answer.heatmap_findings import found_in_full
from dashboard.resources import dataset, models
from dashboard.review import evidence_wording
from dashboard.review.evidence import CONTRAST_PANEL, PREVALENCE_PANEL, SIMILAR_PANEL
from dashboard.review.widgets import ON_DEMAND_PANEL
from data.tasks.skin import SKIN
from model.analysis.analyzer import SIMILAR_CASES, Analyzer
from model.explain.keras_worker import KerasWorker
from model.explain.maps import Explanation
from model.explain.neighbours import Neighbour
from model.explain.stress import STRESS_KEYS
from model.inference.classifier import Prediction
from model.measures.metrics import reweigh_ppv_npv, reweigh_probability
from model.remote.failures import RemoteUnavailable
from tests.support.case_log import case_log_of
from tests.support.dashboard import cells_of
from tests.support.review import (
    BASAL_CELL,
    SAMPLE,
    button,
    give_own_read,
    noise_png,
    open_panel,
    open_sample,
    opened_page,
    selectbox,
    shown,
    upload,
)


@pytest.fixture(scope="module", autouse=True)
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A case log of this file's own: it is written to when an answer is shown."""
    with pytest.MonkeyPatch.context() as patch, case_log_of(tmp_path_factory.mktemp("log"), patch):
        yield


@pytest.fixture
def page() -> AppTest:
    return opened_page()


def answered(content: bytes) -> Prediction:
    """What the committed model makes of an image; which class it names is not the page's business."""
    prediction = models.analyzer().run(content).answered.prediction
    return prediction


def test_empty_page_says_what_to_do_and_offers_samples(page: AppTest) -> None:
    assert not page.exception
    assert "Drop a dermoscopic image" in shown(page)
    labels = [button.label for button in page.button]
    assert {"nv", "mel", "bcc", "bkl"} <= set(labels)
    assert "no patient" in shown(page)


def test_sample_is_answered_with_seven_probabilities(page: AppTest) -> None:
    next(button for button in page.button if button.label == "nv").click().run()
    assert not page.exception
    text = shown(page)
    assert "Synthetic sample" in text
    assert text.count("role='meter'") == 2 + len(SKIN.codes)
    for dx in SKIN.codes:
        assert f"<i>{dx}</i>" in text
    assert "of 100" in text and "95 % interval" in text
    assert "does not show where disease is" in text
    artifact = models.analyzer().artifact
    found = found_in_full(artifact.task, artifact.manifest["heatmaps"])
    assert found.startswith("What tests of the heatmap found") and found in text


def test_not_flagged_is_never_called_safe(page: AppTest) -> None:
    for label in [one.label for one in page.button]:
        button(page, label).click().run()
        text = shown(page).lower()
        assert not page.success
        assert "not an all-clear" in text or "flagged as possibly malignant" in text or "not answered" in text


def test_threshold_changes_the_measured_meaning(page: AppTest) -> None:
    next(button for button in page.button if button.label == "nv").click().run()
    before = shown(page)
    page.segmented_control(key="review_operating_point").set_value("sensitivity_90").run()
    assert shown(page) != before
    assert not page.exception


def test_upload_is_answered_and_several_make_a_queue(page: AppTest) -> None:
    upload(page, ("first.jpg", SAMPLE.read_bytes()), ("second.jpg", SAMPLE.read_bytes() + b" "))
    assert not page.exception
    assert "1 of 2" in shown(page) and "first" in shown(page)
    give_own_read(page)
    next(button for button in page.button if button.label == "Next").click().run()
    assert "2 of 2" in shown(page) and "second" in shown(page)
    give_own_read(page)
    page.toggle(key="review_table").set_value(True).run()
    assert [lines[0] for lines in cells_of(page, "Image")] == ["first.jpg", "second.jpg"]


def test_a_sample_leaves_the_users_image_one_click_away(page: AppTest) -> None:
    upload(page, ("mine.jpg", SAMPLE.read_bytes()))
    next(button for button in page.button if button.label == "mel").click().run()
    assert "Synthetic sample" in shown(page)
    next(button for button in page.button if button.label == "Back to your image").click().run()
    assert "Synthetic sample" not in shown(page) and r"mine\.jpg" in shown(page)


def test_a_flagged_image_is_never_headed_by_a_benign_name(page: AppTest) -> None:
    for label in ("mel", "bcc", "akiec"):
        next(button for button in page.button if button.label == label).click().run()
        if page.warning:
            named = re.search(r"\*\*(Most likely|Standout diagnosis|Most likely[^*]*):\*\* [^(]*\((\w+)\)", shown(page))
            assert named is not None and named.group(2) in ("akiec", "bcc", "mel")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("document.jpg", b"%PDF-1.7 something", "PDF document"),
        ("empty.jpg", b"", "empty"),
        ("half.jpg", SAMPLE.read_bytes()[:3000], "damaged"),
    ],
)
def test_file_that_cannot_be_read_gets_a_reason_and_no_label(
    page: AppTest, name: str, content: bytes, expected: str
) -> None:
    upload(page, (name, content))
    assert not page.exception and not page.error
    assert expected in page.warning[0].value
    assert "role='meter'" not in shown(page)


def test_image_that_is_no_lesion_is_refused_without_a_label(page: AppTest) -> None:
    upload(page, ("noise.png", noise_png()))
    assert not page.exception
    assert "Not answered" in page.warning[0].value
    assert "role='meter'" not in shown(page)
    headings = ("EVIDENCE", "CONTRAST", "SIMILAR", "STRESS")
    assert not any(getattr(evidence_wording, f"{heading}_HEADING") in shown(page) for heading in headings)
    assert "90 % set" not in shown(page)


def test_file_name_has_no_markdown_meaning(page: AppTest) -> None:
    upload(page, ("**bold** [link](http://example.org) <b>.jpg", SAMPLE.read_bytes()))
    assert r"\*\*bold\*\*" in shown(page)
    assert "](http" not in shown(page)


def test_method_on_demand_comes_from_the_child_process(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def heatmap(self: KerasWorker, method: str, network_input: np.ndarray, class_index: int) -> np.ndarray:
        asked.append((method, class_index))
        return np.ones((6, 8), dtype=np.float32)

    monkeypatch.setattr(KerasWorker, "heatmap", heatmap)
    open_panel(open_sample(page, "nv"), ON_DEMAND_PANEL)
    selectbox(page, "Class").set_value("mel")
    next(button for button in page.button if button.label == "Compute").click().run()
    assert not page.exception
    assert asked == [("Grad-CAM++", SKIN.codes.index("mel"))]


def test_installation_without_tensorflow_says_which_methods_it_lacks(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A module that is None cannot be imported, like one that is not installed.
    monkeypatch.setitem(sys.modules, "tf_keras_vis", None)
    open_panel(open_sample(page, "nv"), ON_DEMAND_PANEL)
    assert not page.exception
    assert "Not available here: Grad-CAM++, Score-CAM, SmoothGrad saliency." in shown(page)
    assert "Compute" not in [button.label for button in page.button] and "role='meter'" in shown(page)


def test_failing_child_process_leaves_the_answer_standing(page: AppTest, tmp_path: Path) -> None:
    worker = models.keras_worker()
    worker.close()
    path, worker._keras_path = worker._keras_path, tmp_path / "missing.keras"
    try:
        open_panel(open_sample(page, "nv"), ON_DEMAND_PANEL)
        next(button for button in page.button if button.label == "Compute").click().run(timeout=120)
    finally:
        worker._keras_path = path
        worker.close()
    assert "could not be computed" in page.error[0].value
    assert "role='meter'" in shown(page)


def test_answer_holds_the_set_and_how_far_the_networks_agree(page: AppTest) -> None:
    open_sample(page, "mel")
    prediction = answered(SAMPLE.with_name("synthetic_mel_1.jpg").read_bytes())
    text = shown(page)
    line = next(part for part in text.splitlines() if "90 % set" in part)
    assert [dx for dx in SKIN.codes if f"({dx})" in line] == sorted(prediction.conformal_set)
    assert f"n = {models.artifact().manifest['conformal']['measured']['images']:,} images" in text
    assert ("networks behind this answer" in text) == (len(prediction.member_p_positive) > 1)


def test_prevalence_slider_reweighs_the_flag_and_the_image(page: AppTest) -> None:
    open_panel(open_sample(page, "nv"), PREVALENCE_PANEL)
    page.slider(key="review_prevalence").set_value(0.02).run()
    assert not page.exception
    artifact = models.artifact()
    point, prior = artifact.operating_points[0], artifact.calibration.prior
    ppv, npv = reweigh_ppv_npv(point.sensitivity.value, point.specificity.value, 0.02)
    share = sum(prior[index] for index in SKIN.positives)
    here = reweigh_probability(answered(SAMPLE.read_bytes()).p_positive, share, 0.02)
    text = shown(page)
    assert f"**Flagged:** {evidence_wording.one_in(ppv)} is malignant" in text
    assert f"**Not flagged:** {evidence_wording.one_in(1 - npv)} is malignant" in text
    assert f"malignant {here * 100:.1f} % where 2.0 % of the lesions are" in text


def test_prevalence_starts_where_the_probabilities_were_calibrated(page: AppTest) -> None:
    open_panel(open_sample(page, "nv"), PREVALENCE_PANEL)
    prior = models.artifact().calibration.prior
    assert page.slider(key="review_prevalence").value == pytest.approx(sum(prior[i] for i in SKIN.positives))


@pytest.fixture
def evidence_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose maps all reach the least peak."""
    monkeypatch.setattr(Explanation, "has_evidence", lambda self, dx: True)


def test_evidence_is_measured_for_the_class_that_is_chosen(
    evidence_everywhere: None, page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def stability(self: Analyzer, analysis: object, dx: str) -> float:
        asked.append(dx)
        return 0.875

    monkeypatch.setattr(Analyzer, "stability", stability)
    give_own_read(upload(page, ("new.jpg", BASAL_CELL.read_bytes() + b"seen by no other test")))
    first = selectbox(page, "Heatmap for").value
    second = "df" if first != "df" else "nv"
    # Two passes of the network: not before they are asked for, and the page says that they are missing.
    assert not asked
    assert f"Steady when shifted {evidence_wording.NOT_MEASURED}" in shown(page)
    assert evidence_wording.STABILITY_WAITS in shown(page)
    button(page, evidence_wording.STABILITY_BUTTON).click().run()
    assert asked == [first]
    assert evidence_wording.STABILITY_WAITS not in shown(page)
    assert "Steady when shifted 0.88" in shown(page) and "Inside the lesion" in shown(page)
    selectbox(page, "Heatmap for").set_value(second).run()
    assert asked == [first, second]
    # What was measured once is not measured again.
    selectbox(page, "Heatmap for").set_value(first).run()
    assert asked == [first, second]


@pytest.fixture
def no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose maps never reach the least peak."""
    monkeypatch.setattr(models.analyzer(), "artifact", replace(models.artifact(), min_peak=1e9))


def test_class_without_positive_evidence_gets_no_figures(no_evidence: None, page: AppTest) -> None:
    give_own_read(upload(page, ("new.jpg", BASAL_CELL.read_bytes() + b"nor this one")))
    assert not page.exception
    chosen = selectbox(page, "Heatmap for").value
    assert f"No positive evidence for {SKIN.named(chosen).name} ({chosen})" in shown(page)
    assert "Inside the lesion" not in shown(page)
    # The answer stands all the same.
    assert "role='meter'" in shown(page)


def test_contrast_compares_any_two_classes(page: AppTest) -> None:
    open_panel(open_sample(page, "bcc"), CONTRAST_PANEL)
    dx, other = evidence_wording.contrast_pair(answered(BASAL_CELL.read_bytes()))
    assert f"Orange favours {SKIN.named(dx).name} <b>{dx}</b>" in shown(page)
    assert f"Blue favours {SKIN.named(other).name} <b>{other}</b>" in shown(page)
    selectbox(page, "Why").set_value("df").run()
    assert not any("(df)" in option for option in selectbox(page, "rather than").options)
    selectbox(page, "rather than").set_value("vasc").run()
    assert not page.exception
    assert "Orange favours Dermatofibroma" in shown(page) and "Blue favours Vascular lesion" in shown(page)


def test_changing_the_first_class_to_the_second_leaves_two_classes(page: AppTest) -> None:
    open_panel(open_sample(page, "bcc"), CONTRAST_PANEL)
    second = selectbox(page, "rather than").value
    selectbox(page, "Why").set_value(second).run()
    assert not page.exception
    assert selectbox(page, "rather than").value != second


def test_similar_cases_are_six_lesions_with_their_facts(page: AppTest) -> None:
    assert "class='lens-case'" not in shown(open_sample(page, "mel"))
    text = shown(open_panel(page, SIMILAR_PANEL))
    assert text.count("class='lens-case'") == SIMILAR_CASES
    assert "confirmed by" in text and "distance 0." in text
    assert evidence_wording.retrieval(SKIN, models.artifact().manifest["retrieval"]) in text
    # No dataset folder is set here.
    assert SKIN.worded(evidence_wording.NO_THUMBNAILS) in text


@pytest.mark.parametrize(("nearest", "is_seen"), [(0.0005, True), (0.0015, False)])
def test_training_image_is_not_offered_as_its_own_similar_case(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, nearest: float, is_seen: bool
) -> None:
    def similar_cases(self: Analyzer, output: object, count: int) -> tuple[Neighbour, ...]:
        distances = [nearest, *(0.1 * number for number in range(1, count))]
        return tuple(
            Neighbour(f"ISIC_{n}", f"HAM_{n}", "nv", "histo", None, "male", f"site {n}", distance)
            for n, distance in enumerate(distances)
        )

    monkeypatch.setattr(Analyzer, "similar_cases", similar_cases)
    open_sample(page, "mel")
    # What may change how the answer is read does not wait until somebody looks at the cases.
    assert ("This is a training image" in shown(page)) == is_seen
    text = shown(open_panel(page, SIMILAR_PANEL))
    assert [f"site {n}" in text for n in range(SIMILAR_CASES + 1)] == [not is_seen] + [True] * 5 + [is_seen]


def test_similar_cases_show_their_images_where_there_are_some(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "thumbnail", lambda image_id: noise_png())
    open_panel(open_sample(page, "mel"), SIMILAR_PANEL)
    assert not page.exception
    assert SKIN.worded(evidence_wording.NO_THUMBNAILS) not in shown(page)
    assert sum("Dermoscopic image ISIC_" in str(image.proto) for image in page.get("image")) == SIMILAR_CASES


def test_stress_test_runs_when_asked_and_names_what_turns_the_decision(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    threshold = models.artifact().operating_points[0].threshold
    asked: list[int] = []

    def probabilities(self: Analyzer, image: np.ndarray, facts: object) -> np.ndarray:
        """Flags the image as it is and all its copies but the first."""
        asked.append(len(asked))
        malignant = threshold / 2 if len(asked) == 2 else (1 + threshold) / 2
        return np.array([0, 0, 0, 0, malignant, 1 - malignant, 0])

    monkeypatch.setattr(Analyzer, "probabilities", probabilities)
    open_sample(page, "nv")
    assert not asked
    page.button(key="review_run_stress").click().run()
    assert not page.exception
    assert len(asked) == 1 + len(STRESS_KEYS)
    text = shown(page)
    assert f"1 of {len(STRESS_KEYS)} changes turns the decision" in text
    assert "not flagged, turned" in text
    assert '<th scope="row">as it is</th>' in text
    # Another threshold is another question: the old answer goes, and the test is offered again.
    page.segmented_control(key="review_operating_point").set_value("sensitivity_90").run()
    assert "changes turns" not in shown(page)
    assert page.button(key="review_run_stress")


def test_stress_test_that_cannot_be_run_says_why(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: Analyzer, image: object, facts: object) -> None:
        raise RemoteUnavailable("expected an answer, received none")

    open_sample(page, "nv")
    monkeypatch.setattr(Analyzer, "probabilities", away)
    page.button(key="review_run_stress").click().run()
    assert not page.exception
    assert any("received none" in error.value for error in page.error)
    assert page.metric


def test_stress_test_of_one_image_is_not_shown_under_another(page: AppTest) -> None:
    open_sample(page, "nv")
    page.button(key="review_run_stress").click().run()
    assert not page.exception
    assert evidence_wording.stress_intro(SKIN) not in shown(page)
    open_sample(page, "df")
    assert evidence_wording.stress_intro(SKIN) in shown(page)


@pytest.mark.parametrize(("size", "is_small"), [((358, 269), True), ((600, 450), False), ((384, 512), False)])
def test_small_picture_is_told_its_pixels_and_what_is_wanted(
    page: AppTest, size: tuple[int, int], is_small: bool
) -> None:
    buffer = io.BytesIO()
    Image.open(SAMPLE).resize(size).save(buffer, "JPEG", quality=95)
    upload(page, ("phone.jpg", buffer.getvalue()))
    assert not page.exception
    remarks = [warning.value for warning in page.warning if "px are wanted" in warning.value]
    assert len(remarks) == is_small
    assert all("358 x 269 px; at least 512 x 384 px" in remark for remark in remarks)
