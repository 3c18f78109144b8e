"""The Review page under AppTest, with the committed model and our own synthetic samples."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dashboard import resources
from data.diagnoses import DX_CODES
from model.keras_worker import KerasWorker

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "sample" / "synthetic_nv_1.jpg"


@pytest.fixture
def page() -> AppTest:
    return AppTest.from_file(str(ROOT / "pages" / "review.py"), default_timeout=30).run()


def upload(page: AppTest, *files: tuple[str, bytes]) -> AppTest:
    page.file_uploader[0].set_value([(name, content, "image/jpeg") for name, content in files])
    return page.run()


def shown(page: AppTest) -> str:
    """All text on the page."""
    elements = [*page.markdown, *page.caption, *page.warning, *page.info, *page.error]
    bodies = [str(html.proto.body) for html in page.get("html")]
    return "\n".join([element.value for element in elements] + bodies)


def noise_png() -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


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
    assert text.count("role='meter'") == 2 + len(DX_CODES)
    for dx in DX_CODES:
        assert f"<i>{dx}</i>" in text
    assert "of 100" in text and "95 % interval" in text
    assert "does not show where disease is" in text


def test_not_flagged_is_never_called_safe(page: AppTest) -> None:
    for button in [button.label for button in page.button]:
        next(one for one in page.button if one.label == button).click().run()
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
    next(button for button in page.button if button.label == "Next").click().run()
    assert "2 of 2" in shown(page) and "second" in shown(page)
    page.toggle(key="review_table").set_value(True).run()
    assert list(page.dataframe[0].value["image"]) == ["first.jpg", "second.jpg"]


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
            assert "Most probable malignant diagnosis: **" in shown(page)
            heading = shown(page).split("Most probable malignant diagnosis: **")[1]
            assert heading.split("(")[1].split(")")[0] in ("akiec", "bcc", "mel")


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
    next(button for button in page.button if button.label == "nv").click().run()
    next(box for box in page.selectbox if box.label == "Class").set_value("mel")
    next(button for button in page.button if button.label == "Compute").click().run()
    assert not page.exception
    assert asked == [("Grad-CAM++", DX_CODES.index("mel"))]


def test_failing_child_process_leaves_the_answer_standing(page: AppTest, tmp_path: Path) -> None:
    worker = resources.keras_worker()
    worker.close()
    path, worker._keras_path = worker._keras_path, tmp_path / "missing.keras"
    try:
        next(button for button in page.button if button.label == "nv").click().run()
        next(button for button in page.button if button.label == "Compute").click().run(timeout=120)
    finally:
        worker._keras_path = path
        worker.close()
    assert "could not be computed" in page.error[0].value
    assert "role='meter'" in shown(page)
