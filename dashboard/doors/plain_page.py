"""Pages of plain HTML, without Streamlit and without a script: for those who are not let in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from html import escape
from string import Template
from typing import Any

from starlette.responses import HTMLResponse

from dashboard.doors import wording
from dashboard.doors.addresses import address
from dashboard.resources import models
from dashboard.settings import ROOT, Settings
from dashboard.shell.formats import APP_NAME
from dashboard.shell.identity import entries_of, name_of, roles_of

LOGO = ROOT / "dashboard" / "assets" / "logo.svg"
# Colours are those of .streamlit/config.toml.
_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<link rel="icon" href="data:,">
<style>
body {
  max-width: 36rem; margin: 0 auto; padding: 12vh 1.5rem 2rem;
  font: 1rem/1.5 "Source Sans", "Segoe UI", system-ui, sans-serif;
  color: light-dark(#1e2529, #e4e9ec); background: light-dark(#fcfcfb, #14181b); overflow-wrap: anywhere;
}
h1 { margin: 1.5rem 0 0.5rem; font-size: 1.6rem; line-height: 1.25; }
code { font: 0.95rem/1.5 ui-monospace, monospace; user-select: all; }
.remark {
  padding: 0.6rem 0.9rem; border-left: 3px solid light-dark(#1f6f8b, #6db6cf);
  background: light-dark(#f0f2f3, #1f262a);
}
.button {
  display: inline-block; min-width: 6rem; margin-top: 0.75rem; padding: 0.6rem 1.25rem; border-radius: 0.4rem;
  color: #fff; background: #1f6f8b; font-weight: 600; text-align: center; text-decoration: none;
}
.button:focus-visible { outline: 2px solid #1f85a5; outline-offset: 2px; }
</style>
</head>
<body>
<header>$logo</header>
<main>
<h1>$title</h1>
$content
<p><a class="button" href="$way">$action</a></p>
</main>
</body>
</html>
""")


def sign_in_page(remark: str = "") -> HTMLResponse:
    """What everyone gets who is not signed in; status 401.

    Args:
        remark: why they meet it, where they may not expect it.
    """
    told = f'<p class="remark" role="status">{escape(remark)}</p>\n' if remark else ""
    content = f"<p>{escape(wording.intended_use(models.tasks()))}</p>\n{told}"
    return _page(401, wording.WELCOME, content, "auth/login", wording.SIGN_IN)


def no_role_page(claims: Mapping[str, Any], settings: Settings) -> HTMLResponse:
    """What somebody gets who is signed in and has no role, and what to enter so that they get one; status 403.

    Args:
        claims: of whom.
        settings: where roles are looked for.
    """
    told = [escape(wording.no_role(name_of(claims, settings)))]
    for entry in entries_of(claims, settings)[:1]:
        what, line = wording.how_to_list(entry)
        told.append(f"{escape(what)}<br><code>{escape(line)}</code>")
    if settings.auth_role_claim is not None:
        told.append(escape(wording.roles_stated(roles_of(claims, settings))))
    content = "\n".join(f"<p>{paragraph}</p>" for paragraph in told)
    return _page(403, wording.NO_ROLE_TITLE, content, "auth/logout", wording.SIGN_OUT)


@cache
def _logo() -> str:
    return LOGO.read_text(encoding="utf-8").replace("<svg ", f'<svg role="img" aria-label="{APP_NAME}" ', 1)


def _page(status: int, title: str, content: str, way: str, action: str) -> HTMLResponse:
    page = _PAGE.substitute(
        logo=_logo(),
        title=escape(title),
        content=content,
        way=escape(address(way)),
        action=escape(action),
    )
    return HTMLResponse(page, status, headers={"Cache-Control": "no-store"})
