"""How far to trust the model: every metric and study of the locked test lesions, with its interval."""

from __future__ import annotations

from dashboard.evaluation import sections, widgets
from dashboard.shell.widgets import explained_errors

with explained_errors():
    widgets.header()
    sections.navigation()
