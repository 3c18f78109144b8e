"""A photograph of drawn skin through a dermatoscope: hairs, bubbles in the gel, lens, light, sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from data.synthetic.patterns import HEIGHT, WIDTH, Field, Stroke, coordinates, curve, noise, paint, rise
from data.synthetic.skin import Rgb, covered

RgbImage = NDArray[np.uint8]
Light = NDArray[np.float64]

HALF_DIAGONAL = float(np.hypot(WIDTH, HEIGHT) / 2)

PINK: Rgb = (232.0, 166.0, 176.0)
BEIGE: Rgb = (230.0, 192.0, 172.0)
PALE: Rgb = (218.0, 198.0, 206.0)
MAUVE: Rgb = (216.0, 168.0, 190.0)
APRICOT: Rgb = (238.0, 180.0, 160.0)


@dataclass(frozen=True)
class Camera:
    """Everything in the picture but the lesion.

    Attributes:
        skin: colour of unpigmented skin under this camera's white balance, RGB 0-255.
        freckles, flush, furrows: see `healthy_skin`.
        hairs: dark terminal hairs, number.
        hair_rgb: their colour, 0-255.
        vellus: pale fine hairs, number.
        bubbles: air bubbles in the gel, number.
        glints: clusters of specular dots, number.
        dark_corners: how far the dermatoscope's round rim reaches in: 0 not at all, 1 a tenth of the width.
        blur: standard deviation of the lens' point spread in the middle, pixels.
    """

    skin: Rgb = PINK
    freckles: float = 0.0
    flush: float = 0.5
    furrows: float = 0.5
    hairs: int = 0
    hair_rgb: Rgb = (70.0, 42.0, 38.0)
    vellus: int = 10
    bubbles: int = 0
    glints: int = 0
    dark_corners: float = 0.0
    blur: float = 0.65


def photograph(generator: np.random.Generator, scene: Light, camera: Camera) -> RgbImage:
    """Photograph a scene.

    Args:
        generator: source of randomness.
        scene: (450, 600, 3) float64 RGB, 0-255: the skin in even light.
        camera: what else is in the picture.

    Returns:
        (450, 600, 3) uint8 RGB, 0-255.
    """
    scene = _with_hairs(generator, scene, camera)
    for _ in range(camera.bubbles):
        scene = _with_bubble(generator, scene)
    for _ in range(camera.glints):
        scene = _with_glints(generator, scene)
    x, y = coordinates()
    from_axis = np.hypot(x - WIDTH / 2 - generator.normal(0, 10), y - HEIGHT / 2 - generator.normal(0, 8))
    scene = _through_lens(scene, from_axis, camera.blur)
    scene = _lit(generator, scene, from_axis)
    if camera.dark_corners > 0:
        scene = _in_round_frame(scene, from_axis, HALF_DIAGONAL - 60 * camera.dark_corners)
    return _sensed(generator, scene)


def _with_hairs(generator: np.random.Generator, scene: Light, camera: Camera) -> Light:
    hair = paint(_hairs(generator, camera.hairs, (120, 420), (1.4, 2.8), (0.6, 0.95)))
    shadow = gaussian_filter(np.roll(hair, (2, 3), (0, 1)), 2.5)
    vellus = gaussian_filter(paint(_hairs(generator, camera.vellus, (20, 90), (0.7, 1.2), (0.12, 0.5))), 0.5)
    dark = covered(covered(scene, 0.12 * shadow, (0.0, 0.0, 0.0)), hair, camera.hair_rgb)
    return covered(dark, vellus, (235.0, 225.0, 225.0))


def _hairs(
    generator: np.random.Generator,
    count: int,
    lengths: tuple[float, float],
    widths: tuple[float, float],
    strengths: tuple[float, float],
) -> list[Stroke]:
    """Hairs that lie roughly in one direction, anywhere, also partly outside the picture."""
    grain = generator.uniform(0, 2 * np.pi)
    strokes = []
    for _ in range(count):
        angle, length = grain + generator.normal(0, 0.7), generator.uniform(*lengths)
        along = np.array((np.cos(angle), np.sin(angle)))
        start = np.array((generator.uniform(-60, WIDTH + 60), generator.uniform(-60, HEIGHT + 60)))
        end = start + length * along
        bend = (start + end) / 2 + generator.normal(0, 0.22 * length) * np.array((-along[1], along[0]))
        width, taper = generator.uniform(*widths), generator.uniform(0.65, 0.95)
        strokes.append(curve(start, end, bend, width, taper, generator.uniform(*strengths)))
    return strokes


def _with_bubble(generator: np.random.Generator, scene: Light) -> Light:
    """An air bubble: a dark ring, a bright crescent inside it, a highlight."""
    x, y = coordinates()
    middle_x, middle_y = generator.uniform(0, WIDTH), generator.uniform(0, HEIGHT)
    radius, light_from = generator.lognormal(1.9, 0.5), generator.uniform(0, 2 * np.pi)
    distance = np.hypot(x - middle_x, y - middle_y)
    facing = (1 + np.cos(np.arctan2(y - middle_y, x - middle_x) - light_from)) / 2
    ring = np.exp(-(((distance - radius) / 1.1) ** 2)) * (1 - 0.6 * facing)
    crescent = np.exp(-((distance - 0.72 * radius) ** 2)) * facing**2
    spot = np.hypot(x - middle_x - 0.4 * radius * np.cos(light_from), y - middle_y - 0.4 * radius * np.sin(light_from))
    shaded = covered(scene, 0.35 * ring, (0.0, 0.0, 0.0))
    return covered(shaded, 0.4 * crescent + 0.9 * np.exp(-((spot / (0.2 * radius)) ** 2)), (255.0, 255.0, 255.0))


def _with_glints(generator: np.random.Generator, scene: Light) -> Light:
    """A few specular dots close together, where the gel is uneven."""
    x, y = coordinates()
    middle_x, middle_y = generator.uniform(0, WIDTH), generator.uniform(0, HEIGHT)
    white = np.zeros((HEIGHT, WIDTH))
    for _ in range(generator.integers(2, 7)):
        dx, dy = x - middle_x - generator.normal(0, 10), y - middle_y - generator.normal(0, 8)
        angle, size = generator.uniform(0, np.pi), generator.uniform(0.6, 2.0)
        along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        white += generator.uniform(0.4, 0.95) * np.exp(-((along / (2 * size)) ** 2) - (across / size) ** 2)
    return covered(scene, white, (255.0, 255.0, 255.0))


def _through_lens(scene: Light, from_axis: Field, blur: float) -> Light:
    """Sharpest on the axis; colour coarser than brightness, as sensors and JPEG record it."""
    middle = gaussian_filter(scene, (blur, blur, 0))
    rim = gaussian_filter(scene, (2.5 * blur, 2.5 * blur, 0))
    image = middle + (rim - middle) * rise(from_axis, 0.5 * HALF_DIAGONAL, HALF_DIAGONAL)[..., np.newaxis]
    brightness = image.mean(axis=-1, keepdims=True)
    return brightness + gaussian_filter(image - brightness, (1.5, 1.5, 0))


def _lit(generator: np.random.Generator, scene: Light, from_axis: Field) -> Light:
    """Soft uneven light that falls off towards the corners."""
    light = (1 + 0.03 * noise(generator, 150)) * (1 - 0.14 * (from_axis / HALF_DIAGONAL) ** 2.5)
    return scene * light[..., np.newaxis]


def _in_round_frame(scene: Light, from_axis: Field, radius: float) -> Light:
    """The black rim of a dermatoscope's front lens, `radius` pixels from the axis."""
    dimmed = scene * (0.72 + 0.28 * rise(from_axis, radius + 10, radius - 120))[..., np.newaxis]
    return covered(dimmed, rise(from_axis, radius - 14, radius + 22), (14.0, 8.0, 12.0))


def _sensed(generator: np.random.Generator, scene: Light) -> RgbImage:
    grain = generator.normal(0, 1.1, (HEIGHT, WIDTH, 1)) + generator.normal(0, 0.6, scene.shape)
    return np.clip(np.rint(scene + grain), 0, 255).astype(np.uint8)
