"""The entry point of the dashboard.

python -m streamlit run dashboard/app.py
"""

import sys
from pathlib import Path

# Streamlit puts only this file's folder on the import path; the packages stand beside it.
ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402 (the path comes first)

from dashboard import wording  # noqa: E402
from dashboard.settings import settings  # noqa: E402
from dashboard.widgets import explained_errors, page_style, research_banner  # noqa: E402

ASSETS = Path(__file__).with_name("assets")

st.set_page_config(page_title=wording.APP_NAME, page_icon=ASSETS / "icon.svg", layout="wide")
st.logo(ASSETS / "logo.svg", size="large")
page_style()

page = st.navigation(
    [
        st.Page(ROOT / "pages" / "review.py", title="Review", icon=":material/frame_inspect:", default=True),
        st.Page(ROOT / "pages" / "dataset.py", title="Dataset", icon=":material/grid_view:"),
        st.Page(ROOT / "pages" / "evaluation.py", title="Evaluation", icon=":material/monitoring:"),
        st.Page(ROOT / "pages" / "about.py", title="About", icon=":material/info:"),
    ],
    position="top",
)
research_banner()
with explained_errors():
    settings()
    page.run()
