"""The About page shows what the manifest says."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from dashboard import resources

ROOT = Path(__file__).resolve().parents[1]


def test_card_comes_from_the_manifest() -> None:
    page = AppTest.from_file(str(ROOT / "pages" / "about.py"), default_timeout=30).run()
    assert not page.exception
    manifest = resources.artifact().manifest
    text = "\n".join(element.value for element in [*page.markdown, *page.caption])
    assert f"{manifest['metrics']['images']:,} images of {manifest['metrics']['lesions']:,} lesions" in text
    assert manifest["files"]["model.tflite"]["sha256"] in text
    assert "not a medical device" in text and "Skin tone" in text and "CC BY-NC 4.0" in text
    value = manifest["metrics"]["balanced_accuracy"]["value"]
    assert page.dataframe[0].value.iloc[0, 1].startswith(f"{value:.3f}")
