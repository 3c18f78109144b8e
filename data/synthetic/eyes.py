"""Eyes of the samples: drawn retinal photographs with findings of diabetic retinopathy.

By the international clinical scale (Wilkinson et al., Ophthalmology 2003;110:1677, doi:10.1016/S0161-6420(03)00475-5):
microaneurysms alone are mild; with haemorrhages, exudates and cotton-wool spots moderate; many haemorrhages everywhere
severe; new vessels, or blood before the retina, proliferative. Drawn by eye; nobody's retina, and no evidence of what a
disease looks like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from data.synthetic.patterns import (
    HEIGHT,
    WIDTH,
    Field,
    Stroke,
    coordinates,
    curve,
    fractal,
    noise,
    outline,
    paint,
    rise,
    vessel_tree,
)
from data.synthetic.skin import Rgb, covered

# The camera's round field, cut off above and below as many cameras cut it; pixels.
CENTRE, RADIUS = (WIDTH / 2, HEIGHT / 2), 250.0
DISC_RADIUS = (25.0, 29.0)
BLUR = 2.0  # of lens and sensor, standard deviation
# From the middle, where the fovea lies, towards the nose: the optic disc; shares of the radius.
DISC_PLACE, RIM = 0.56, 0.9
# Optical density of a unit of blood and of macular pigment in red, green and blue.
BLOOD, MACULA = (0.45, 1.15, 1.0), (0.35, 0.5, 0.55)
FAT: Rgb = (250.0, 226.0, 120.0)
COTTON: Rgb = (238.0, 214.0, 172.0)
DISC: Rgb = (252.0, 212.0, 140.0)


@dataclass(frozen=True)
class Eye:
    """What is to be seen of a retina.

    Attributes:
        fundus: colour of the retina in the middle, RGB 0-255.
        nose: where the nose is, and with it the optic disc: 1 at the right of the picture, -1 at the left.
        microaneurysms: red dots, number.
        haemorrhages: blots of blood in the retina, number.
        exudates: groups of yellow deposits, number.
        cotton_wool: soft white patches, number.
        new_vessels: tangles of fine vessels, number.
        has_blood_before: whether blood has sunk down before the retina, with a level surface.
    """

    fundus: Rgb = (206.0, 106.0, 44.0)
    nose: int = 1
    microaneurysms: int = 0
    haemorrhages: int = 0
    exudates: int = 0
    cotton_wool: int = 0
    new_vessels: int = 0
    has_blood_before: bool = False


def photograph_eye(generator: np.random.Generator, eye: Eye) -> NDArray[np.uint8]:
    """A retinal photograph: (450, 600, 3) uint8 RGB, 0-255, a round field on black."""
    disc = (CENTRE[0] + eye.nose * DISC_PLACE * RADIUS, CENTRE[1] - 0.05 * RADIUS)
    x, y = coordinates()
    from_middle = np.hypot(x - CENTRE[0], y - CENTRE[1])
    choroid = np.exp(0.06 * fractal(generator, 40, 5) + 0.03 * noise(generator, 2.5))
    scene = np.array(eye.fundus) * choroid[..., np.newaxis]
    scene = _absorbed(scene, np.exp(-((from_middle / (0.2 * RADIUS)) ** 2)), MACULA)
    scene = _absorbed(scene, 0.5 * np.exp(-((from_middle / (0.05 * RADIUS)) ** 2)), MACULA)
    scene = _with_disc(generator, scene, disc)
    scene = covered(scene, _soft_patches(generator, eye.cotton_wool, disc), COTTON)
    scene = _absorbed(scene, _vessels(generator, disc, eye.nose), BLOOD)
    scene = _absorbed(scene, _blood(generator, eye, disc), BLOOD)
    scene = covered(scene, _deposits(generator, eye.exudates, disc), FAT)
    scene = _absorbed(scene, _tangles(generator, eye.new_vessels, disc, eye.nose), BLOOD)
    if eye.has_blood_before:
        scene = _absorbed(scene, _sunken_blood(generator, eye.nose), BLOOD)
    return _photographed(generator, scene, from_middle)


def _absorbed(scene: NDArray[np.float64], amount: Field, densities: Rgb) -> NDArray[np.float64]:
    return scene * np.exp(-amount[..., np.newaxis] * np.array(densities))


def _with_disc(
    generator: np.random.Generator, scene: NDArray[np.float64], disc: tuple[float, float]
) -> NDArray[np.float64]:
    head = rise(outline(generator, disc, DISC_RADIUS, roughness=0.03, detail=0.0), -2.0, 4.0)
    cup = rise(outline(generator, disc, (11.0, 13.0), roughness=0.05, detail=0.0), -4.0, 6.0)
    return covered(covered(scene, 0.75 * head, DISC), 0.6 * cup, (255.0, 240.0, 200.0))


def _vessels(generator: np.random.Generator, disc: tuple[float, float], nose: int) -> Field:
    """An artery and a vein from the disc to each quarter: towards the temple they arch around the fovea."""
    strokes: list[Stroke] = []
    for up in (-1, 1):
        for width, strength, apart in ((4.6, 0.8, 0.0), (3.2, 0.55, 9.0)):
            bow = 0.62 * RADIUS + apart + generator.normal(0, 6)
            end = (CENTRE[0] - nose * (0.62 * RADIUS + generator.normal(0, 10)), CENTRE[1] + up * 0.55 * bow)
            bend = (CENTRE[0] + nose * 0.25 * RADIUS, CENTRE[1] + up * 1.55 * bow)
            trunk = curve(disc, end, bend, width, 0.6, strength)
            strokes.append(trunk)
            strokes += _branches(generator, trunk, width, count=3)
            heading = np.arctan2(up, nose * 0.45) + generator.normal(0, 0.15)
            strokes += vessel_tree(generator, disc, heading, 60.0, 0.75 * width, generations=3)
    return 0.6 * gaussian_filter(paint(strokes), 0.7)


def _branches(generator: np.random.Generator, trunk: Stroke, width: float, count: int) -> list[Stroke]:
    strokes: list[Stroke] = []
    for share in np.linspace(0.25, 0.9, count):
        at = int(share * (len(trunk.points) - 2))
        along = trunk.points[at + 1] - trunk.points[at]
        heading = np.arctan2(along[1], along[0]) + generator.choice((-1.0, 1.0)) * generator.uniform(0.5, 0.9)
        root = (float(trunk.points[at, 0]), float(trunk.points[at, 1]))
        strokes += vessel_tree(generator, root, heading, generator.uniform(25, 45), 0.5 * width, generations=3)
    return strokes


def _places(generator: np.random.Generator, count: int, disc: tuple[float, float]) -> list[tuple[float, float]]:
    """Points of the field that lie neither on the disc nor in the fovea."""
    places: list[tuple[float, float]] = []
    while len(places) < count:
        angle, share = generator.uniform(0, 2 * np.pi), np.sqrt(generator.uniform(0.02, 0.7))
        place = (CENTRE[0] + share * RADIUS * np.cos(angle), CENTRE[1] + share * RADIUS * np.sin(angle))
        if abs(place[1] - CENTRE[1]) < 0.44 * HEIGHT and np.hypot(place[0] - disc[0], place[1] - disc[1]) > 45:
            places.append(place)
    return places


def _spots(places: Sequence[tuple[float, float]], sizes: NDArray[np.float64]) -> Field:
    """Round spots of these radii in pixels, each drawn in a window of its own."""
    field = np.zeros((HEIGHT, WIDTH))
    for (x, y), size in zip(places, sizes, strict=True):
        top, left = (max(int(middle - 2 * size) - 1, 0) for middle in (y, x))
        window = field[top : int(y + 2 * size) + 2, left : int(x + 2 * size) + 2]
        rows, columns = np.ogrid[: window.shape[0], : window.shape[1]]
        distance = np.hypot(columns + left - x, rows + top - y)
        np.maximum(window, np.exp(-((distance / size) ** 4)), out=window)
    return field


def _blood(generator: np.random.Generator, eye: Eye, disc: tuple[float, float]) -> Field:
    dots = _spots(_places(generator, eye.microaneurysms, disc), generator.uniform(1.6, 2.4, eye.microaneurysms))
    # A blot is a clump of spots.
    clumps, sizes = [], []
    for x, y in _places(generator, eye.haemorrhages, disc):
        radius = float(np.clip(generator.lognormal(1.2, 0.35), 2.0, 6.0))
        for dx, dy in generator.normal(0, 0.7 * radius, (6, 2)):
            clumps.append((x + dx, y + 0.7 * dy))
            sizes.append(radius * generator.uniform(0.5, 0.9))
    return 0.8 * dots + 0.75 * _spots(clumps, np.array(sizes))


def _deposits(generator: np.random.Generator, groups: int, disc: tuple[float, float]) -> Field:
    field = np.zeros((HEIGHT, WIDTH))
    for middle in _places(generator, groups, disc):
        count = int(generator.integers(10, 22))
        places = [(middle[0] + generator.normal(0, 13), middle[1] + generator.normal(0, 10)) for _ in range(count)]
        field = np.maximum(field, _spots(places, generator.uniform(1.2, 3.4, count)))
    return 0.85 * field


def _soft_patches(generator: np.random.Generator, count: int, disc: tuple[float, float]) -> Field:
    field = np.zeros((HEIGHT, WIDTH))
    for place in _places(generator, count, disc):
        shape = (generator.uniform(9, 14), generator.uniform(6, 9))
        depth = outline(generator, place, shape, generator.uniform(0, np.pi), roughness=0.3, detail=0.1)
        field = np.maximum(field, 0.7 * rise(depth, -5.0, 6.0))
    return field


def _tangles(generator: np.random.Generator, count: int, disc: tuple[float, float], nose: int) -> Field:
    """Fine vessels in loops: the first tangle on the disc, the others elsewhere."""
    strokes: list[Stroke] = []
    for middle in [(disc[0] - nose * 12, disc[1] - 22), *_places(generator, max(count - 1, 0), disc)][:count]:
        for _ in range(26):
            start, end, bend = (np.array(middle) + generator.normal(0, size, 2) for size in (12, 16, 24))
            strokes.append(curve(start, end, bend, generator.uniform(1.0, 1.7), 0.3, generator.uniform(0.4, 0.75)))
    return gaussian_filter(paint(strokes), 0.5)


def _sunken_blood(generator: np.random.Generator, nose: int) -> Field:
    """A pool as deep as it is dark, its surface level, as blood settles before the retina."""
    middle = (CENTRE[0] - nose * 0.1 * RADIUS, CENTRE[1] + 0.4 * RADIUS)
    _, y = coordinates()
    pool = rise(outline(generator, middle, (72.0, 48.0), roughness=0.06, detail=0.02), -2.0, 5.0)
    return 1.5 * pool * rise(y, middle[1] - 4.0, middle[1] + 1.0)


def _photographed(generator: np.random.Generator, scene: NDArray[np.float64], from_middle: Field) -> NDArray[np.uint8]:
    """Lit from the middle, a little blurred, and black around the round field."""
    light = (1.0 - 0.42 * (from_middle / RADIUS) ** 2) * (1 + 0.04 * noise(generator, 120))
    lit = gaussian_filter(scene * light[..., np.newaxis], (BLUR, BLUR, 0))
    seen = lit * rise(from_middle, RADIUS + 1.0, RADIUS - 2.0)[..., np.newaxis]
    grain = gaussian_filter(generator.normal(0, 3.0, seen.shape), (BLUR, BLUR, 0))
    return np.clip(np.rint(seen + grain + 2.0), 0, 255).astype(np.uint8)
