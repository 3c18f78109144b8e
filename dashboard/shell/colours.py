"""Colours that mean one thing on every page.

Source:
    Okabe & Ito 2008, "Color Universal Design", https://jfly.uni-koeln.de/color/ (distinguishable in all common forms
    of colour blindness); the grey is the one R's palette "Okabe-Ito" adds. Its yellow and black are left out: one
    fades on a light page, the other on a dark one.
"""

from __future__ import annotations

# Warm for the malignant group, cool or grey for the benign one; the order of data.tasks.skin.
DX_COLOURS: dict[str, str] = {
    "akiec": "#E69F00",
    "bcc": "#CC79A7",
    "bkl": "#999999",
    "df": "#A99400",
    "mel": "#D55E00",
    "nv": "#0072B2",
    "vasc": "#56B4E9",
}

# Between the accents of the light and the dark theme, so that one figure serves both.
ACCENT = "#3590ad"
NEUTRAL = "#7d8a92"

# From the strongest reference standard to the weakest: one hue that fades.
DX_TYPE_COLOURS: dict[str, str] = {
    "histo": "#1f7390",
    "confocal": "#5fa9c1",
    "consensus": "#9db4be",
    "follow_up": "#c9c6bd",
}
SEX_COLOURS: dict[str, str] = {"female": "#3590ad", "male": "#b9a37c", "unknown": "#8b9499"}


def translucent(colour: str, opacity: float) -> str:
    """CSS `rgba(...)` of a `#rrggbb` colour at an opacity in [0, 1]."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


# Transparent to translucent accent: text in the page's own colour stays readable on it, light and dark.
SHARE_SCALE: list[tuple[float, str]] = [(0.0, translucent(ACCENT, 0.0)), (1.0, translucent(ACCENT, 0.65))]
