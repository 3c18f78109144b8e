"""Colours that mean one thing on every page; those of classes stand in their task."""

from __future__ import annotations

# Between the accents of the light and the dark theme, so that one figure serves both.
ACCENT = "#3590ad"
NEUTRAL = "#7d8a92"

# From the strongest reference standard to the weakest: one hue that fades.
DX_TYPE_COLOURS: dict[str, str] = {
    "histo": "#1f7390",
    "confocal": "#5fa9c1",
    "consensus": "#9db4be",
    "follow_up": "#c9c6bd",
    "unknown": "#8b9499",
}
SEX_COLOURS: dict[str, str] = {"female": "#3590ad", "male": "#b9a37c", "unknown": "#8b9499"}


def translucent(colour: str, opacity: float) -> str:
    """CSS `rgba(...)` of a `#rrggbb` colour at an opacity in [0, 1]."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


# Transparent to translucent accent: text in the page's own colour stays readable on it, light and dark.
SHARE_SCALE: list[tuple[float, str]] = [(0.0, translucent(ACCENT, 0.0)), (1.0, translucent(ACCENT, 0.65))]
