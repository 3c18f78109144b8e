"""Patterns of which `data.synthetic` builds skin: noise, outlines, honeycombs, dots, strokes.

A `Field` has the size of the picture, (450, 600) float64. Functions that return a pattern give it in [0, 1] unless
they say otherwise; lengths are pixels; all randomness comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.spatial import cKDTree

Field = NDArray[np.float64]
Point = tuple[float, float] | NDArray[np.float64]

HEIGHT, WIDTH = 450, 600
# Strokes are drawn this many times larger and shrunk, which smooths their edges.
SUPERSAMPLING = 4


@dataclass(frozen=True)
class Stroke:
    """A line whose width changes: a hair or a vessel.

    Attributes:
        points: (N, 2) float64, x and y in pixels.
        widths: (N,) float64, pixels.
        strength: how strongly it shows, in [0, 1].
    """

    points: NDArray[np.float64]
    widths: NDArray[np.float64]
    strength: float = 1.0


def coordinates() -> tuple[Field, Field]:
    """Pixel coordinates x and y of every pixel."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    return x, y


def rise(field: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, a smooth step between; falls instead where `low` is above `high`."""
    step = np.clip((field - low) / (high - low), 0.0, 1.0)
    return step * step * (3.0 - 2.0 * step)


def noise(generator: np.random.Generator, scale: float, stretch: float = 1.0, angle: float = 0.0) -> Field:
    """Smooth random field with mean 0 and standard deviation 1.

    Args:
        generator: source of randomness.
        scale: standard deviation of the Gaussian that smooths white noise, pixels.
        stretch: how many times longer than wide the features are.
        angle: direction of the long side, radians.
    """
    spectrum = np.fft.rfft2(generator.standard_normal((HEIGHT, WIDTH)))
    fy, fx = np.fft.fftfreq(HEIGHT)[:, np.newaxis], np.fft.rfftfreq(WIDTH)[np.newaxis, :]
    along, across = fx * np.cos(angle) + fy * np.sin(angle), fy * np.cos(angle) - fx * np.sin(angle)
    # The Fourier transform of a Gaussian is a Gaussian.
    spectrum *= np.exp(-2.0 * (np.pi * scale) ** 2 * ((stretch * along) ** 2 + across**2))
    field = np.fft.irfft2(spectrum, s=(HEIGHT, WIDTH))
    return (field - field.mean()) / field.std()


def fractal(generator: np.random.Generator, scale: float, octaves: int = 4, persistence: float = 0.6) -> Field:
    """Noise of several scales, each half the one before, with mean 0 and standard deviation 1."""
    field = np.sum([persistence**i * noise(generator, scale / 2**i) for i in range(octaves)], axis=0)
    return (field - field.mean()) / field.std()


def creases(
    generator: np.random.Generator, scale: float, width: float, stretch: float = 1.0, angle: float = 0.0
) -> Field:
    """Winding thin lines, 1 on a line: where a noise field crosses zero.

    Args:
        generator: source of randomness.
        scale, stretch, angle: of the noise, see `noise`.
        width: of the lines, in standard deviations of the noise.
    """
    return np.exp(-((noise(generator, scale, stretch, angle) / width) ** 2))


def mottle(generator: np.random.Generator, scale: float, strength: float, octaves: int = 4) -> Field:
    """A factor that varies about 1, since pigment is clumped but never negative.

    Args:
        generator: source of randomness.
        scale, octaves: of the noise, see `fractal`.
        strength: standard deviation of its logarithm.
    """
    return np.exp(strength * fractal(generator, scale, octaves))


def outline(
    generator: np.random.Generator,
    centre: Point,
    radii: Point,
    angle: float = 0.0,
    roughness: float = 0.1,
    detail: float = 0.04,
) -> Field:
    """Depth inside a wobbling ellipse, about in pixels: positive inside, 0 at the border, negative outside.

    Args:
        generator: source of randomness.
        centre: x and y, pixels.
        radii: half axes, pixels.
        angle: of the first axis, radians.
        roughness: bays and bulges about half a radius long, as a share of the mean radius.
        detail: notches a tenth as long, likewise.
    """
    x, y = coordinates()
    dx, dy = x - centre[0], y - centre[1]
    u, v = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    radius = float(np.mean(radii))
    depth = 1.0 - np.hypot(u / radii[0], v / radii[1])
    # tanh bounds the noise: its rare peaks would leave islands far outside.
    depth += roughness * 1.4 * np.tanh(0.7 * noise(generator, 0.35 * radius)) + detail * np.tanh(
        fractal(generator, 0.1 * radius, 3)
    )
    return depth * radius


def border(generator: np.random.Generator, depth: Field, sharp: float, soft: float) -> Field:
    """0 outside to 1 inside; the step is 2 `sharp` pixels wide along some of the border, 2 `soft` along the rest."""
    reach = sharp + (soft - sharp) * rise(noise(generator, 60), -1.2, 1.2)
    return rise(depth / reach, -1.0, 1.0)


def cells(
    generator: np.random.Generator, spacing: float, jitter: float = 0.25, warp: float = 0.0
) -> tuple[Field, Field, NDArray[np.int64], int]:
    """A wobbling honeycomb: each pixel belongs to the nearest of many centres.

    Args:
        generator: source of randomness.
        spacing: between centres, pixels.
        jitter: how far a centre strays from its place, as a share of `spacing`.
        warp: how far the plane itself is bent, pixels.

    Returns:
        Distance to the nearest centre, distance to the second nearest, index of the nearest, number of centres.
    """
    rows = np.arange(-2 * spacing, HEIGHT + 2 * spacing, spacing * np.sqrt(3) / 2)
    columns = np.arange(-2.0 * spacing, WIDTH + 2 * spacing, spacing)
    centre_x, centre_y = np.meshgrid(columns, rows)
    centre_x[1::2] += spacing / 2
    centres = np.stack([centre_x.ravel(), centre_y.ravel()], axis=1)
    centres += generator.normal(0.0, jitter * spacing, centres.shape)
    x, y = coordinates()
    bend = 0.5 * spacing
    bent = np.stack([x + warp * noise(generator, bend), y + warp * noise(generator, bend)], axis=-1)
    distances, nearest = cKDTree(centres).query(bent.reshape(-1, 2), k=2)
    first, second = distances[:, 0].reshape(x.shape), distances[:, 1].reshape(x.shape)
    return first, second, nearest[:, 0].reshape(x.shape).astype(np.int64), len(centres)


def honeycomb(
    generator: np.random.Generator, spacing: float, thickness: float, jitter: float = 0.2, warp: float = 2.0
) -> Field:
    """A mesh of lines, 1 on a line, with holes about `spacing` wide; the drawing of a pigment network."""
    first, second, _, _ = cells(generator, spacing, jitter, warp)
    return np.exp(-(((second - first) / thickness) ** 2))


def patchy_mesh(generator: np.random.Generator, spacing: float, thickness: float) -> Field:
    """A pigment network that comes and goes."""
    return honeycomb(generator, spacing, thickness, 0.3, 4.0) * rise(fractal(generator, 26, 3), -1.6, 1.2)


def dots(
    generator: np.random.Generator,
    spacing: float,
    radius: float,
    kept: float = 1.0,
    jitter: float = 0.35,
    warp: float = 0.0,
) -> Field:
    """Round dots of various sizes and strengths on a loose grid.

    Args:
        generator: source of randomness.
        spacing: between dots, pixels.
        radius: mean radius, pixels.
        kept: share of the dots that is drawn.
        jitter, warp: see `cells`; warped dots are not round.
    """
    distance, _, nearest, count = cells(generator, spacing, jitter, warp)
    sizes = radius * generator.lognormal(0.0, 0.35, count)
    strengths = (generator.random(count) < kept) * generator.uniform(0.5, 1.0, count)
    return strengths[nearest] * np.exp(-((distance / sizes[nearest]) ** 4))


def paint(strokes: Sequence[Stroke]) -> Field:
    """The strokes as an antialiased coverage field; where strokes cross, the stronger one shows."""
    size = (WIDTH * SUPERSAMPLING, HEIGHT * SUPERSAMPLING)
    canvas = Image.new("L", size)
    pen = ImageDraw.Draw(canvas)
    for stroke in sorted(strokes, key=lambda stroke: stroke.strength):
        shade = round(255 * stroke.strength)
        for (x, y), width in zip(stroke.points * SUPERSAMPLING, stroke.widths * SUPERSAMPLING / 2, strict=True):
            pen.ellipse((x - width, y - width, x + width, y + width), fill=shade)
    return np.asarray(canvas.resize((WIDTH, HEIGHT), Image.Resampling.BOX), dtype=np.float64) / 255.0


def curve(start: Point, end: Point, bend: Point, width: float, taper: float, strength: float = 1.0) -> Stroke:
    """A hair-like stroke: a quadratic Bezier curve that thins towards its end.

    Args:
        start, end: x and y, pixels.
        bend: the control point that the curve leans towards.
        width: at the root, pixels.
        taper: share of the width that is lost at the tip.
        strength: see `Stroke`.
    """
    # Points half a pixel apart, so that the discs of `paint` merge into a line.
    steps = max(
        2, round(2 * (np.hypot(bend[0] - start[0], bend[1] - start[1]) + np.hypot(end[0] - bend[0], end[1] - bend[1])))
    )
    t = np.linspace(0.0, 1.0, steps)[:, np.newaxis]
    points = (1 - t) ** 2 * np.array(start) + 2 * t * (1 - t) * np.array(bend) + t**2 * np.array(end)
    return Stroke(points, width * (1 - taper * t[:, 0] ** 2), strength)


def vessel_tree(
    generator: np.random.Generator, root: Point, heading: float, length: float, width: float, generations: int = 4
) -> list[Stroke]:
    """A wandering vessel that divides into thinner ones.

    Args:
        generator: source of randomness.
        root: x and y where it starts, pixels.
        heading: first direction, radians.
        length: of the first stem, pixels.
        width: of the first stem, pixels.
        generations: how often it may divide.
    """
    steps = max(4, round(2 * length))
    # The heading is a random walk pulled back to the first direction, so the vessel winds but gets on.
    turns = np.zeros(steps)
    kicks = generator.normal(0.0, 0.11, steps)
    for i in range(1, steps):
        turns[i] = 0.97 * turns[i - 1] + kicks[i]
    directions = heading + turns
    points = np.array(root) + 0.5 * np.cumsum(np.stack([np.cos(directions), np.sin(directions)], axis=1), axis=0)
    strokes = [Stroke(points, np.linspace(width, 0.75 * width, steps), min(1.0, 0.35 + 0.3 * width))]
    if generations <= 1 or width < 0.6:
        return strokes
    for share, side in ((1.0, 1.0), (1.0, -1.0), (generator.uniform(0.3, 0.8), generator.choice((-1.0, 1.0)))):
        at = min(steps - 1, int(share * steps))
        turned = float(directions[at]) + side * generator.uniform(0.3, 0.9)
        strokes += vessel_tree(
            generator,
            (points[at, 0], points[at, 1]),
            turned,
            length * generator.uniform(0.45, 0.8),
            0.68 * width,
            generations - 1,
        )
    return strokes
