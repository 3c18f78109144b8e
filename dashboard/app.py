"""The entry point of the dashboard: what Streamlit runs for every session. `dashboard.server` serves it.

python -m streamlit run dashboard/app.py    # without security headers and health check
"""

import sys
from pathlib import Path

# Streamlit puts only this file's folder on the import path; the packages stand beside it.
ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402 (the path comes first)

from dashboard.access import sign_in, tab, task_choice  # noqa: E402
from dashboard.review import state  # noqa: E402
from dashboard.serving import options  # noqa: E402
from dashboard.shell import keyboard  # noqa: E402
from dashboard.shell.formats import APP_NAME  # noqa: E402
from dashboard.shell.widgets import (  # noqa: E402
    explained_errors,
    page_style,
    read_only_banner,
    research_banner,
    save_pictures,
)

ASSETS = Path(__file__).with_name("assets")

options.state()
st.set_page_config(page_title=APP_NAME, page_icon=ASSETS / "icon.svg", layout="wide")
st.logo(ASSETS / "logo.svg", size="large")
page_style()

page = st.navigation(sign_in.pages(), position="top")
research_banner()
keyboard.guard()
save_pictures()
with explained_errors():
    sign_in.user_bar()
    if sign_in.is_in():
        read_only_banner()
        task_choice.follow_address()
        tab.guard(state.keep_draft, state.is_any_unsaved, state.restore_draft)
        task_choice.selectors()
    page.run()
    state.keep_draft()
