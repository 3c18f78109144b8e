"""What a clinic, a camera or a marker pen may do to an image, drawn onto it: does the answer stay?

Artefacts are drawn over the image at places that a seed decides; changes of acquisition alter all of it. Every function
takes and gives (H, W, 3) uint8 RGB, 0-255, and leaves the image it was given as it was. Lengths scale with the image:
they are written in pixels of a 600 x 450 image, the size of HAM10000's originals.

Strengths are set by eye to what is seen in practice, strong but plausible, and not fitted to any model. A drawing is no
recording: real ink runs, and real hair casts shadows.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from model.images.rejection import RgbImage

Kind = Literal["artefact", "acquisition"]
Coverage = NDArray[np.floating]
Rgb = tuple[float, float, float]

# Diagonal of a 600 x 450 image, in whose pixels all lengths are written.
_DESIGN_DIAGONAL = 750.0
# Artefacts are drawn this many times larger and shrunk, which smooths their edges.
_SUPERSAMPLING = 3
# Share of red, green and blue that the ink of a surgical marker lets through, by eye.
_GENTIAN_VIOLET: Rgb = (0.42, 0.30, 0.72)
_HAIR_RGB: Rgb = (48.0, 32.0, 28.0)
_PRINT_RGB: Rgb = (28.0, 26.0, 30.0)
_FRAME_RGB: Rgb = (10.0, 7.0, 9.0)
_STRONG_JPEG_QUALITY = 20
_SQUARE_SIDE = 256


@dataclass(frozen=True)
class Perturbation:
    """One way in which an image of the same lesion may differ.

    Attributes:
        key: code for files and tables.
        name: a few words for the screen.
        kind: `artefact` (something in the picture) or `acquisition` (how it was taken, stored or sent).
        apply: image and seed to image, (H, W, 3) uint8 RGB, 0-255; the same seed gives the same pixels, and changes of
            acquisition are the same for every seed. The size is kept, except by `squashed`, which gives 256 x 256.
    """

    key: str
    name: str
    kind: Kind
    apply: Callable[[RgbImage, int], RgbImage]


@dataclass(frozen=True)
class _Stroke:
    """A line whose width changes: (N, 2) float64 x and y, (N,) float64 widths, all in pixels; strength in [0, 1]."""

    points: NDArray[np.float64]
    widths: NDArray[np.float64]
    strength: float = 1.0


def _unit(image: RgbImage) -> float:
    """Pixels of this image in one pixel of a 600 x 450 image."""
    return float(np.hypot(*image.shape[:2])) / _DESIGN_DIAGONAL


def _to_uint8(values: NDArray[np.floating]) -> RgbImage:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _covered(image: RgbImage, coverage: Coverage, rgb: Rgb) -> RgbImage:
    """The image under a layer of one colour, as opaque as `coverage`, (H, W) in [0, 1]."""
    return _to_uint8(image + (np.array(rgb, dtype=np.float32) - image) * coverage[..., np.newaxis])


def _drawn(height: int, width: int, draw: Callable[[ImageDraw.ImageDraw], None]) -> Coverage:
    """What `draw` leaves on an empty canvas `_SUPERSAMPLING` times the size, as (height, width) in [0, 1]."""
    canvas = Image.new("L", (width * _SUPERSAMPLING, height * _SUPERSAMPLING))
    draw(ImageDraw.Draw(canvas))
    return np.asarray(canvas.reduce(_SUPERSAMPLING), dtype=np.float32) / 255


def _painted(height: int, width: int, strokes: list[_Stroke]) -> Coverage:
    """The strokes as (height, width) in [0, 1]; where they cross, the stronger one shows."""

    def draw(pen: ImageDraw.ImageDraw) -> None:
        for stroke in sorted(strokes, key=lambda stroke: stroke.strength):
            shade = round(255 * stroke.strength)
            points, widths = stroke.points * _SUPERSAMPLING, stroke.widths * _SUPERSAMPLING
            for start, end, thickness in zip(points[:-1], points[1:], widths[:-1], strict=True):
                pen.line((*start, *end), fill=shade, width=max(round(thickness), 1))
            # A line of Pillow ends in a straight edge; a disc at each point rounds the ends and fills the bends.
            for point, thickness in zip(points, widths, strict=True):
                _disc(pen, point, thickness / 2, shade)

    return _drawn(height, width, draw)


def _disc(pen: ImageDraw.ImageDraw, centre: NDArray[np.float64], radius: float, shade: int) -> None:
    x, y = centre
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade)


def _softened(coverage: Coverage, radius: float) -> Coverage:
    """Coverage after a Gaussian blur with a standard deviation of `radius` pixels."""
    blurred = Image.fromarray(_to_uint8(255 * coverage)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(blurred, dtype=np.float32) / 255


def _mottle(generator: np.random.Generator, height: int, width: int, cell: float) -> Coverage:
    """Smooth random field in [0, 1] with features of about `cell` pixels."""
    size = (max(round(height / cell), 2), max(round(width / cell), 2))
    field = Image.fromarray(generator.random(size, dtype=np.float32))
    return np.clip(np.asarray(field.resize((width, height), Image.Resampling.BICUBIC)), 0, 1)


def ink_mark(image: RgbImage, seed: int) -> RgbImage:
    """Strokes of a surgical marker (gentian violet) around the middle of the image, where the lesion usually lies.

    An arc on one side and a dash on the other, near the border of the image: ink lets part of the light through and
    gathers in the skin's furrows. On a lesion that fills the image they lie on the lesion.

    Source:
        Winkler et al., JAMA Dermatology 2019;155:1135, doi:10.1001/jamadermatol.2019.1735 (ink raised the melanoma
        scores of a network and its false positives).
    """
    generator = np.random.default_rng(seed)
    (height, width), unit = image.shape[:2], _unit(image)
    side = generator.uniform(0, 2 * np.pi)
    spans = ((side, generator.uniform(0.5, 0.8)), (side + np.pi, generator.uniform(0.1, 0.25)))
    strokes = []
    for middle, half_span in spans:
        # Twice along the same way, as a hand does, not quite on the same line.
        for reach in generator.uniform(0.38, 0.43, 2):
            angles = middle + np.linspace(-half_span, half_span, 40) + generator.normal(0, 0.03)
            points = np.stack([width * (0.5 + reach * np.cos(angles)), height * (0.5 + reach * np.sin(angles))], axis=1)
            strokes.append(_Stroke(points, unit * generator.uniform(9, 13) * np.linspace(1, 0.8, 40)))
    ink = _softened(_painted(height, width, strokes), 1.2 * unit)
    ink *= (
        0.60 + 0.25 * _mottle(generator, height, width, 5 * unit) + 0.15 * _mottle(generator, height, width, 25 * unit)
    )
    let_through = 1 - ink[..., np.newaxis] * (1 - np.array(_GENTIAN_VIOLET, dtype=np.float32))
    return _to_uint8(image * let_through)


def ruler(image: RgbImage, seed: int) -> RgbImage:
    """The millimetre scale of a dermatoscope's glass: dark ticks along one border, every fifth longer, with numbers.

    Source:
        Bissoto, Valle, Avila, CVPR Workshops 2020, arXiv:2004.11457 (rulers among the artefacts that bias skin-lesion
        datasets and models).
    """
    quarter_turns = int(np.random.default_rng(seed).integers(4))
    height, width = image.shape[:2] if quarter_turns % 2 == 0 else image.shape[1::-1]
    # About 34 pixels a millimetre in a 600 x 450 image: a field of view of 18 mm.
    unit, step = _unit(image) * _SUPERSAMPLING, 34 * _unit(image) * _SUPERSAMPLING
    font = ImageFont.load_default(size=max(22 * unit, 1))

    def draw(pen: ImageDraw.ImageDraw) -> None:
        foot = (height * _SUPERSAMPLING) - 12 * unit
        for number in range(int(width * _SUPERSAMPLING / step)):
            x, is_long = (number + 0.5) * step, number % 5 == 0
            top = foot - (30 if is_long else 16) * unit
            pen.line((x, foot, x, top), fill=225, width=max(round(2.6 * unit), 1))
            if is_long:
                pen.text((x, top - 4 * unit), str(number), fill=225, font=font, anchor="mb")

    return _covered(image, np.rot90(_drawn(height, width, draw), quarter_turns), _PRINT_RGB)


def hair(image: RgbImage, seed: int) -> RgbImage:
    """Dark terminal hairs over the whole image, roughly in one direction, also over the lesion."""
    generator = np.random.default_rng(seed)
    (height, width), unit = image.shape[:2], _unit(image)
    grain = generator.uniform(0, 2 * np.pi)
    strokes = []
    for _ in range(22):
        angle, length = grain + generator.normal(0, 0.5), unit * generator.uniform(150, 480)
        along = np.array((np.cos(angle), np.sin(angle)))
        middle = generator.uniform(-0.1, 1.1, 2) * (width, height)
        bend = generator.normal(0, 0.18) * length * np.array((-along[1], along[0]))
        t = np.linspace(-1, 1, 32)[:, np.newaxis]
        points = middle + 0.5 * length * t * along + bend * (1 - t**2)
        thickness = unit * generator.uniform(2.0, 3.6) * np.linspace(1, 0.35, 32)
        strokes.append(_Stroke(points, thickness, generator.uniform(0.65, 0.95)))
    return _covered(image, _painted(height, width, strokes), _HAIR_RGB)


def vignette(image: RgbImage, seed: int) -> RgbImage:
    """The round field of a dermatoscope: black outside, dimmed towards its rim, a little off the middle."""
    generator = np.random.default_rng(seed)
    height, width = image.shape[:2]
    half_diagonal = float(np.hypot(height, width)) / 2
    middle_y, middle_x = (0.5 + generator.uniform(-0.02, 0.02, 2)) * (height, width) / half_diagonal
    rows = np.arange(height, dtype=np.float32)[:, np.newaxis] / half_diagonal - float(middle_y)
    columns = np.arange(width, dtype=np.float32) / half_diagonal - float(middle_x)
    distance, radius = np.hypot(rows, columns), 0.76
    dimmed = image * (1 - 0.3 * np.clip(distance / radius, 0, 1) ** 6)[..., np.newaxis]
    return _covered(_to_uint8(dimmed), np.clip((distance - radius) / 0.02 + 0.5, 0, 1), _FRAME_RGB)


def bubbles(image: RgbImage, seed: int) -> RgbImage:
    """Air bubbles in the contact gel: a dark rim, a bright inside, a highlight on the side of the light."""
    generator = np.random.default_rng(seed)
    (height, width), unit = image.shape[:2], _unit(image)
    size = _SUPERSAMPLING * unit
    centres = generator.uniform(0, 1, (14, 2)) * (width, height) * _SUPERSAMPLING
    radii = size * np.clip(generator.lognormal(2.3, 0.6, 14), 4, 40)
    light_from = generator.uniform(0, 2 * np.pi)
    towards_light = np.array((np.cos(light_from), np.sin(light_from)))

    def rims(pen: ImageDraw.ImageDraw) -> None:
        for centre, radius in zip(centres, radii, strict=True):
            _disc(pen, centre, radius, 150)
            _disc(pen, centre, radius - 2.5 * size, 0)

    def lights(pen: ImageDraw.ImageDraw) -> None:
        for centre, radius in zip(centres, radii, strict=True):
            _disc(pen, centre, radius - 3 * size, 45)
            _disc(pen, centre + 0.45 * radius * towards_light, 0.22 * radius, 250)

    shaded = _covered(image, _softened(_drawn(height, width, rims), 0.8 * unit), (30.0, 20.0, 20.0))
    return _covered(shaded, _softened(_drawn(height, width, lights), 0.8 * unit), (255.0, 255.0, 255.0))


def blur(image: RgbImage, radius: float) -> RgbImage:
    """Out of focus: Gaussian with a standard deviation of `radius` pixels of a 600 x 450 image."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius * _unit(image))))


def compress(image: RgbImage, quality: int) -> RgbImage:
    """Written as JPEG of Pillow's quality 1 to 95, and read again."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def move(image: RgbImage, degrees: float = 0.0, zoom: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> RgbImage:
    """The camera turned, brought nearer or moved aside; the size is kept.

    Args:
        image: (H, W, 3) uint8 RGB.
        degrees: the picture turns counter-clockwise by so much.
        zoom: above 1 the lesion grows, below 1 it shrinks; at least 0.5.
        shift: how far the picture moves right and down, as shares of width and height, up to 0.5.

    Returns:
        The same size; what lay outside the image is filled by reflection at its border.
    """
    height, width = image.shape[:2]
    # Enough for any turn: half the diagonal is at most half a side longer than half the other side.
    margin = max(height, width) // 2 + 2
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    cosine, sine = np.cos(np.radians(degrees)) / zoom, np.sin(np.radians(degrees)) / zoom
    middle_x, middle_y = width / 2, height / 2
    from_x, from_y = middle_x + shift[0] * width, middle_y + shift[1] * height
    # Output pixel (x, y) takes the colour of (a x + b y + c, d x + e y + f) of the padded image.
    coefficients = (
        cosine,
        -sine,
        middle_x + margin - cosine * from_x + sine * from_y,
        sine,
        cosine,
        middle_y + margin - sine * from_x - cosine * from_y,
    )
    moved = Image.fromarray(padded).transform(
        (width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC
    )
    return np.asarray(moved)


def recolour(image: RgbImage, gains: Rgb = (1.0, 1.0, 1.0), contrast: float = 1.0) -> RgbImage:
    """Red, green and blue times `gains`, then contrast about the image's mean colour times `contrast`; clipped."""
    lit = image * np.array(gains, dtype=np.float32)
    mean = lit.mean(axis=(0, 1))
    return _to_uint8(mean + contrast * (lit - mean))


def squash(image: RgbImage) -> RgbImage:
    """As another clinic's software might store it: pressed into 256 x 256 pixels and strongly compressed."""
    square = Image.fromarray(image).resize((_SQUARE_SIDE, _SQUARE_SIDE), Image.Resampling.BICUBIC)
    return compress(np.asarray(square), _STRONG_JPEG_QUALITY)


def flip(image: RgbImage) -> RgbImage:
    """Left and right exchanged."""
    return np.ascontiguousarray(image[:, ::-1])


def perturbations_of(artefacts: Sequence[str]) -> tuple[Perturbation, ...]:
    """Those that images of a task may meet (`data.tasks.task.Task.artefacts`): these artefacts, every acquisition."""
    return tuple(one for one in PERTURBATIONS if one.kind == "acquisition" or one.key in artefacts)


def _acquisition(key: str, name: str, change: Callable[[RgbImage], RgbImage]) -> Perturbation:
    return Perturbation(key, name, "acquisition", lambda image, seed: change(image))


PERTURBATIONS: tuple[Perturbation, ...] = (
    Perturbation("ink", "Surgical ink beside the lesion", "artefact", ink_mark),
    Perturbation("ruler", "Ruler along one edge", "artefact", ruler),
    Perturbation("hair", "Dark hair", "artefact", hair),
    Perturbation("vignette", "Dark round frame", "artefact", vignette),
    Perturbation("bubbles", "Air bubbles", "artefact", bubbles),
    _acquisition("blur", "Out of focus", partial(blur, radius=3.0)),
    _acquisition("jpeg", "Strong JPEG (quality 20)", partial(compress, quality=_STRONG_JPEG_QUALITY)),
    _acquisition("rotation_90", "Camera turned by 90°", partial(move, degrees=90)),
    _acquisition("rotation_30", "Camera turned by 30°", partial(move, degrees=30)),
    _acquisition("flip", "Mirrored left to right", flip),
    _acquisition("darker", "Darker", partial(recolour, gains=(0.7, 0.7, 0.7))),
    _acquisition("brighter", "Brighter", partial(recolour, gains=(1.25, 1.25, 1.25))),
    _acquisition("low_contrast", "Lower contrast", partial(recolour, contrast=0.6)),
    _acquisition("warm", "Warm white balance", partial(recolour, gains=(1.1, 1.0, 0.84))),
    _acquisition("cool", "Cool white balance", partial(recolour, gains=(0.88, 1.0, 1.14))),
    _acquisition("green", "Green cast", partial(recolour, gains=(0.94, 1.07, 0.94))),
    _acquisition("magenta", "Magenta cast", partial(recolour, gains=(1.06, 0.91, 1.06))),
    _acquisition("zoom_in", "Nearer (1.25 times larger)", partial(move, zoom=1.25)),
    _acquisition("zoom_out", "Farther (0.8 times as large)", partial(move, zoom=0.8)),
    _acquisition("shift", "Shifted by 8 % of each side", partial(move, shift=(0.08, 0.08))),
    _acquisition("squashed", "Squashed into a square, strong JPEG", squash),
)
