"""What an answer on the Review page costs, as counts: drawings of the page, passes of the network, encoded pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dashboard.access import redraw
from dashboard.review import decision_wording, evidence_wording, inputs
from dashboard.review.evidence import CONTRAST_PANEL
from model.inference.runtimes import LiteRTClassifier
from tests.support.case_log import case_log_of
from tests.support.review import SAMPLE, button, open_panel, opened_page, shown, upload

DRAW_A_PART = redraw.part  # before the session's fixture replaces it


@pytest.fixture
def counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Counts from now on; steps draw what they draw in a browser."""
    counted: Counter[str] = Counter()

    def counting(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            counted[what] += 1
            return function(*arguments, **more)

        return call

    monkeypatch.setattr(redraw, "part", DRAW_A_PART)
    monkeypatch.setattr(inputs, "image_inputs", counting("pages", inputs.image_inputs))
    monkeypatch.setattr(inputs, "shown_image", counting("images", inputs.shown_image))
    monkeypatch.setattr(LiteRTClassifier, "forward", counting("passes", LiteRTClassifier.forward))
    with case_log_of(tmp_path, monkeypatch, READ_FIRST="0"):
        opened_page()  # small pictures of the samples are made once a process
        monkeypatch.setattr(Image.Image, "save", counting("pictures", Image.Image.save))
        counted.clear()
        yield counted


def answered_page(counts: Counter[str], name: str) -> AppTest:
    """An image uploaded and its answer shown, without an own read."""
    page = opened_page()
    counts.clear()
    upload(page, (name, SAMPLE.read_bytes() + name.encode()))
    assert decision_wording.OWN_READ_HEADING in shown(page)
    return button(page, decision_wording.SKIP_READ).click().run()


def test_answer_costs_one_pass_and_one_picture_and_the_page_is_not_drawn_again(counts: Counter[str]) -> None:
    page = answered_page(counts, "one.jpg")
    assert not page.exception and "role='meter'" in shown(page)
    # Encoded: what the network sees (`model.images.framing`), and the image for the screen. Its area is drawn for the
    # own read, with the buttons beside the uploader, and for the answer.
    assert counts == {"passes": 1, "pictures": 2, "images": 3}


def test_what_is_opened_and_asked_for_is_paid_for_then(counts: Counter[str]) -> None:
    page = answered_page(counts, "two.jpg")
    counts.clear()
    open_panel(page, CONTRAST_PANEL)
    assert "Orange favours" in shown(page)
    assert (counts["passes"], counts["pictures"]) == (0, 1)
    counts.clear()
    button(page, evidence_wording.STABILITY_BUTTON).click().run()
    assert evidence_wording.STABILITY_WAITS not in shown(page)
    assert counts["passes"] == 2
