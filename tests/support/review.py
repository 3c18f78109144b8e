"""The Review page under AppTest: what several test files do on it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button, Selectbox

from dashboard.review import decision_wording
from dashboard.review import wording as review_wording

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "sample" / "synthetic_nv_1.jpg"
BASAL_CELL = SAMPLE.with_name("synthetic_bcc_1.jpg")


def new_page() -> AppTest:
    """The page at its gate."""
    return AppTest.from_file(str(ROOT / "pages" / "review.py"), default_timeout=60).run()


def opened_page() -> AppTest:
    """The page behind its gate."""
    return button(new_page(), review_wording.INTENDED_USE_BUTTON).click().run()


def button(page: AppTest, label: str) -> Button:
    return next(one for one in page.button if one.label == label)


def selectbox(page: AppTest, label: str) -> Selectbox:
    return next(box for box in page.selectbox if box.label == label)


def pills(page: AppTest, label: str) -> Any:
    return next(one for one in page.get("pills") if one.label == label)


def upload(page: AppTest, *files: tuple[str, bytes]) -> AppTest:
    page.file_uploader[0].set_value([(name, content, "image/jpeg") for name, content in files])
    return page.run()


def pick_own_read(page: AppTest, dx: str = "nv", certainty: str = "sure", plan: str = "biopsy") -> AppTest:
    """Everything that the form asks for, but not yet the answer."""
    page.radio[0].set_value(dx)
    pills(page, decision_wording.CERTAINTY_LABEL).set_value(certainty)
    pills(page, "Plan").set_value(plan)
    return page.run()


def give_own_read(page: AppTest, dx: str = "nv", certainty: str = "sure", plan: str = "biopsy") -> AppTest:
    """The form filled in and locked: the answer is shown."""
    pick_own_read(page, dx, certainty, plan)
    return button(page, decision_wording.SHOW_ANSWER).click().run()


def open_sample(page: AppTest, dx: str) -> AppTest:
    return button(page, dx).click().run()


def shown(page: AppTest) -> str:
    """All text on the page."""
    elements = [*page.markdown, *page.caption, *page.warning, *page.info, *page.error]
    bodies = [str(html.proto.body) for html in page.get("html")]
    metrics = [f"{metric.label} {metric.value}" for metric in page.metric]
    return "\n".join([element.value for element in elements] + metrics + bodies)


def sent(page: AppTest) -> str:
    """Everything that is sent to the browser, as text."""
    return "\n".join(str(node.proto) for node in page if hasattr(node, "proto"))


def open_panel(page: AppTest, key: str) -> AppTest:
    """Open one of the panels whose content is made when they are opened; AppTest cannot press them."""
    page.session_state[key] = True
    return page.run()


def noise_png(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()
