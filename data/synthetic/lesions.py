"""Recipes: what each of the seven diagnoses is drawn with.

A recipe returns a `Tissue`, amounts of pigment for every pixel; `data.synthetic` photographs it. Every recipe takes a
generator, which decides where things lie, and keywords, which decide how much of each feature there is: `radius` in
pixels, everything else a factor where 0 leaves the feature out. They are drawings of the textbook features, fitted by
eye to HAM10000; nobody's lesion, and no evidence of what a disease looks like.

Source:
    names of the features: Kittler et al., J Am Acad Dermatol 2016;74:1093, doi:10.1016/j.jaad.2015.12.038.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from data.synthetic.patterns import (
    HEIGHT,
    WIDTH,
    Field,
    Point,
    border,
    cells,
    creases,
    dots,
    fractal,
    mottle,
    noise,
    outline,
    paint,
    patchy_mesh,
    rise,
    vessel_tree,
)
from data.synthetic.skin import Tissue


def nevus(
    generator: np.random.Generator,
    radius: float = 100.0,
    elongation: float = 1.25,
    darkness: float = 1.0,
    network: float = 0.4,
    globules: float = 0.35,
    clumps: float = 0.28,
    redness: float = 0.08,
    softness: float = 12.0,
) -> Tissue:
    """Melanocytic nevus: round and even, a regular network that fades to the rim, globules.

    Args:
        generator: source of randomness.
        radius: mean radius, pixels.
        elongation: longer axis as a multiple of the shorter.
        darkness: of the pigment as a whole.
        network, globules, redness: see the module.
        clumps: unevenness of the pigment.
        softness: width of the border, pixels.
    """
    centre = _about_the_middle(generator, 24)
    radii = (radius * elongation**0.5, radius / elongation**0.5)
    depth = outline(generator, centre, radii, generator.uniform(0, np.pi), 0.12, 0.06)
    body = border(generator, depth + 3 * fractal(generator, 5, 2), 0.6 * softness, 1.6 * softness)
    core = rise(depth, 0.0, 0.8 * radius)
    mesh = patchy_mesh(generator, 9.5, 3.2) * rise(depth, -1.6 * softness, 0.6 * softness)
    clods = dots(generator, 12.0, 3.6, 0.45, 0.5) * rise(noise(generator, 40), -0.8, 1.0)
    melanin = body * (0.40 + 0.75 * core) * mottle(generator, 24, clumps) * mottle(generator, 4, 0.18, 3)
    melanin = melanin + network * mesh * (0.75 - 0.45 * core) + globules * body * clods
    return Tissue(
        melanin=darkness * melanin,
        blood=redness * body + 0.12 * rise(depth, -60, 10),
        dermal_melanin=0.20 * darkness * core * body,
    )


def melanoma(
    generator: np.random.Generator,
    radius: float = 135.0,
    lobes: int = 4,
    darkness: float = 1.0,
    blackness: float = 0.7,
    network: float = 0.45,
    streaks: float = 0.5,
    veil: float = 0.7,
    regression: float = 0.6,
    redness: float = 0.4,
) -> Tissue:
    """Melanoma: large and lopsided, several colours, a ragged border, atypical network, streaks, veil, regression.

    Args:
        generator: source of randomness.
        radius: longer half axis, pixels.
        lobes: bulges set on the outline.
        darkness: of the pigment as a whole.
        blackness, network, streaks, redness: see the module.
        veil: blue-white veil.
        regression: scar-like pale zones.
    """
    centre = _about_the_middle(generator, 18)
    depth = _lobed_outline(generator, centre, radius, lobes)
    body = border(generator, depth + 2.5 * fractal(generator, 6, 3), 5.0, 20.0)
    inner = rise(depth, 0.0, 50.0)
    zones = fractal(generator, 50, 5)
    black = blackness * rise(zones, 0.2, 1.7) * body
    pale = regression * rise(-zones, 0.1, 1.9) * inner
    blue = veil * rise(fractal(generator, 50), -0.1, 1.8) * inner
    mesh = patchy_mesh(generator, 13.0, 5.0) * rise(depth, -10, 8) * rise(noise(generator, 45), -0.6, 1.4)
    specks = dots(generator, 11.0, 2.8, 0.4, 0.5) * rise(noise(generator, 35), 0.1, 1.4)
    rays = rise(noise(generator, 3.0), 0.3, 1.6) * rise(noise(generator, 50), -0.3, 1.2) * rise(depth, -18, 4)
    melanin = 0.75 * body * mottle(generator, 40, 0.35, 5) * mottle(generator, 6, 0.22, 3) * (1 - 0.85 * pale)
    melanin = melanin + network * mesh * (1 - 0.8 * pale) + 0.6 * body * specks + streaks * rays * (1 - inner)
    return Tissue(
        melanin=darkness * (melanin * (1 - 0.4 * blue) + 0.6 * black),
        blood=redness * (0.5 * body * rise(noise(generator, 45), -0.2, 1.8) + 0.25 * rise(depth, -50, 10)),
        dermal_melanin=darkness * (1.1 * black * mottle(generator, 14, 0.3) + 0.85 * blue * mottle(generator, 20, 0.2)),
        white=0.35 * pale * rise(fractal(generator, 9, 3), -2.0, 1.5)
        + 0.16 * blue * rise(fractal(generator, 14, 3), -0.5, 2.0),
    )


def basal_cell_carcinoma(
    generator: np.random.Generator,
    radius: float = 110.0,
    trees: int = 6,
    nests: int = 8,
    ulcer: float = 0.8,
    pearl: float = 0.22,
    redness: float = 0.3,
) -> Tissue:
    """Basal cell carcinoma: pearly pink, arborising vessels, blue-grey ovoid nests, a small ulcer, little brown.

    Args:
        generator: source of randomness.
        radius: mean radius, pixels.
        trees: number of branching vessels.
        nests: number of blue-grey nests.
        ulcer, pearl, redness: see the module.
    """
    centre = _about_the_middle(generator, 22)
    depth = outline(generator, centre, (1.15 * radius, 0.85 * radius), generator.uniform(0, np.pi), 0.2, 0.06)
    body = border(generator, depth, 14.0, 45.0)
    rim = rise(depth, -12, 8) * rise(depth, 40, 12)
    vessels = _arborising_vessels(generator, centre, radius, trees)
    blue = _ovoid_nests(generator, centre, radius, nests)
    middle = _on_ring(generator, centre, generator.uniform(0.0, 0.3) * radius)
    crust = outline(generator, middle, (0.2 * radius, 0.13 * radius), generator.uniform(0, np.pi), 0.3, 0.1)
    sore = ulcer * rise(crust, -4, 6)
    specks = dots(generator, 9.0, 1.7, 0.3, 0.5) * rise(noise(generator, 25), 0.2, 1.6) * body
    redness_field = redness * (0.5 * body * mottle(generator, 25, 0.3) + 0.35 * rim + 0.3 * rise(depth, -90, 20))
    pearly = pearl * body * rise(fractal(generator, 24), -0.8, 2.2) * (1 - sore)
    return Tissue(
        melanin=0.12 * body * rise(fractal(generator, 25), -0.5, 2.0)
        + 0.5 * blue * mottle(generator, 6, 0.2)
        + 0.35 * sore * mottle(generator, 8, 0.3)
        + 0.5 * specks,
        blood=redness_field + 0.85 * vessels + 0.45 * sore * mottle(generator, 9, 0.35),
        dermal_melanin=0.75 * blue * mottle(generator, 8, 0.2)
        + 0.5 * sore * rise(fractal(generator, 10), 0.2, 1.8)
        + 0.4 * specks,
        keratin=0.6 * sore,
        white=pearly * (1 - 0.8 * blue) * (1 - 0.6 * np.clip(vessels, 0, 1)),
    )


def keratosis(
    generator: np.random.Generator,
    radius: float = 115.0,
    darkness: float = 0.6,
    greyness: float = 0.25,
    comedones: float = 0.6,
    milia: float = 0.5,
    gyri: float = 0.4,
    notches: float = 0.05,
    fading: float = 0.5,
) -> Tissue:
    """Seborrheic keratosis: stuck on, sharply bordered, waxy, with milia-like cysts and comedo-like openings.

    Args:
        generator: source of randomness.
        radius: mean radius, pixels.
        darkness: of the pigment as a whole.
        greyness: how grey-blue it is; 0 is yellowish brown.
        comedones, milia: see the module.
        gyri: depth of the brain-like folds.
        notches: moth-eaten border, as a share of the radius.
        fading: how soft the border is in places.
    """
    centre = _about_the_middle(generator, 18)
    depth = outline(generator, centre, (1.2 * radius, 0.85 * radius), generator.uniform(0, np.pi), 0.14, notches)
    depth = depth + 2.5 * noise(generator, 7)
    body = border(generator, depth, 2.5, 2.5 + 10 * fading)
    rim = body * rise(depth, 26, 4)
    inside = rise(depth, 6, 16)
    folds = gaussian_filter(creases(generator, 6.0, 0.7), 1.4) - 0.45
    plugs = comedones * inside * gaussian_filter(dots(generator, 30.0, 4.2, 0.4, 0.7, 4.0), 1.1)
    pearls = milia * inside * gaussian_filter(dots(generator, 24.0, 4.0, 0.35, 0.8), 1.5)
    zones = mottle(generator, 55, 0.38, 5)
    melanin = 0.55 * body * zones * mottle(generator, 11, 0.26, 5) * (1 + gyri * folds) + 0.10 * rim
    return Tissue(
        melanin=darkness * melanin * (1 - 0.7 * pearls) + 0.8 * plugs,
        blood=0.05 * body + 0.10 * rise(depth, -40, 10),
        dermal_melanin=0.5 * greyness * body * zones + 0.7 * plugs,
        keratin=0.34 * (1 - greyness) * body * mottle(generator, 22, 0.3) + 0.5 * plugs,
        white=0.5 * pearls * body + 0.06 * body * rise(fractal(generator, 12, 3), 0.0, 2.0),
    )


def dermatofibroma(
    generator: np.random.Generator,
    radius: float = 100.0,
    scar: float = 0.38,
    pigment: float = 0.34,
    redness: float = 0.3,
) -> Tissue:
    """Dermatofibroma: a white scar-like patch in the middle, a faint brown network around it.

    Args:
        generator: source of randomness.
        radius: mean radius, pixels.
        scar, pigment, redness: see the module.
    """
    centre = _about_the_middle(generator, 22)
    depth = outline(generator, centre, (1.1 * radius, 0.9 * radius), generator.uniform(0, np.pi), 0.14, 0.05)
    body = border(generator, depth, 25.0, 55.0)
    middle = rise(depth + 8 * fractal(generator, 12), 0.25 * radius, 1.05 * radius)
    ring = body * (1 - middle)
    mesh = patchy_mesh(generator, 10.0, 3.4) * rise(depth, -50, 15)
    strands = gaussian_filter(creases(generator, 9.0, 0.22), 0.8) * rise(noise(generator, 18), -0.5, 1.2)
    pigmented = 0.85 * ring * mottle(generator, 30, 0.4, 5) * mottle(generator, 4, 0.14, 2)
    return Tissue(
        melanin=pigment * (pigmented + 0.4 * mesh * (1 - 0.8 * middle)),
        blood=redness * body * 0.8 * mottle(generator, 22, 0.35) * (1 - 0.4 * middle),
        dermal_melanin=0.10 * ring,
        white=scar * middle * mottle(generator, 14, 0.2)
        + 0.4 * scar * strands * rise(depth, 0.2 * radius, 0.7 * radius),
    )


def angioma(
    generator: np.random.Generator,
    radius: float = 75.0,
    lacuna: float = 19.0,
    darkness: float = 1.0,
    purple: float = 0.2,
    septa: float = 0.5,
) -> Tissue:
    """Angioma: red to purple lakes of blood with sharp borders, paler walls between them.

    Args:
        generator: source of randomness.
        radius: mean radius, pixels.
        lacuna: width of a lake, pixels.
        darkness: of the blood as a whole.
        purple: share of the lakes that are dark, in [0, 1].
        septa: whiteness of the walls.
    """
    centre = _about_the_middle(generator, 26)
    depth = outline(generator, centre, (1.1 * radius, 0.9 * radius), generator.uniform(0, np.pi), 0.12, 0.05)
    first, second, nearest, count = cells(generator, lacuna, 0.45, 6.0)
    whole = np.isin(np.arange(count), nearest[depth > 3])[nearest] * rise(depth, -9, -2)
    lakes = gaussian_filter(rise(second - first, -2.0, 8.0) * whole, 1.8)
    body = gaussian_filter(rise(depth, -5, 3), 1.2)
    tint = gaussian_filter(generator.uniform(0.75, 1.25, count)[nearest], 2.0)
    stale = rise(fractal(generator, 0.45 * radius, 3), 1.5 - 3.0 * purple, 3.5 - 3.0 * purple) * (0.5 + 0.5 * lakes)
    return Tissue(
        melanin=(0.10 + 0.25 * stale) * body,
        blood=darkness * (0.7 * lakes * tint + 0.55 * body * mottle(generator, 10, 0.12)) + 0.14 * rise(depth, -40, 5),
        dermal_melanin=0.9 * stale * body + 0.10 * lakes,
        white=0.4 * septa * body * (1 - lakes) * rise(fractal(generator, 16, 3), -0.7, 1.8),
    )


def actinic_keratosis(
    generator: np.random.Generator,
    radius: float = 135.0,
    redness: float = 0.36,
    scale: float = 0.5,
    pigment: float = 0.3,
    follicles: float = 0.4,
) -> Tissue:
    """Actinic keratosis: scaly and pinkish red, a red net around yellowish follicles (strawberry pattern).

    Args:
        generator: source of randomness.
        radius: mean radius, pixels.
        redness, pigment: see the module.
        scale: white flakes.
        follicles: contrast of the strawberry pattern's openings.
    """
    centre = _about_the_middle(generator, 18)
    depth = outline(generator, centre, (1.2 * radius, 0.9 * radius), generator.uniform(0, np.pi), 0.28, 0.1)
    body = border(generator, depth, 25.0, 70.0)
    first, second, _, _ = cells(generator, 15.0, 0.4, 6.0)
    patch = rise(fractal(generator, 35, 3), -1.0, 1.5)
    net = gaussian_filter(rise(second - first, 8.0, 0.0), 1.3) * patch
    openings = follicles * gaussian_filter(rise(first, 5.0, 1.5), 1.2) * patch * body
    flakes = rise(fractal(generator, 5, 3) + 0.9 * fractal(generator, 35, 3), 1.4, 3.0) * rise(depth, -5, 25)
    brown = rise(fractal(generator, 38, 5), 0.0, 2.2) * mottle(generator, 5, 0.25, 3)
    return Tissue(
        melanin=pigment * body * (1.5 * brown + 0.2),
        blood=redness * body * (0.65 * mottle(generator, 40, 0.4, 5) + 0.4 * net) + 0.10 * rise(depth, -80, 20),
        dermal_melanin=0.10 * body * rise(fractal(generator, 30), 0.0, 2.0),
        keratin=0.18 * body * mottle(generator, 20, 0.4) + 0.2 * openings,
        white=0.6 * scale * gaussian_filter(flakes, 0.7)
        + 0.25 * openings
        + 0.05 * body * rise(fractal(generator, 10, 3), 0.0, 2.0),
    )


def _about_the_middle(generator: np.random.Generator, spread: float) -> Point:
    return float(WIDTH / 2 + generator.normal(0, spread)), float(HEIGHT / 2 + generator.normal(0, 0.65 * spread))


def _on_ring(generator: np.random.Generator, centre: Point, radius: float) -> Point:
    """A random point at a distance from a centre, on a ring flattened to 3:4."""
    angle = generator.uniform(0, 2 * np.pi)
    return float(centre[0] + radius * np.cos(angle)), float(centre[1] + 0.75 * radius * np.sin(angle))


def _lobed_outline(generator: np.random.Generator, centre: Point, radius: float, lobes: int) -> Field:
    depth = outline(generator, centre, (radius, 0.75 * radius), generator.uniform(0, np.pi), 0.22, 0.08)
    for _ in range(lobes):
        at = _on_ring(generator, centre, 0.65 * radius)
        radii = (0.5 * radius, 0.38 * radius)
        depth = np.maximum(depth, outline(generator, at, radii, generator.uniform(0, np.pi), 0.2, 0.12))
    return depth


def _arborising_vessels(generator: np.random.Generator, centre: Point, radius: float, trees: int) -> Field:
    strokes = []
    for _ in range(trees):
        root = _on_ring(generator, centre, radius * generator.uniform(0.5, 1.3))
        inwards = np.arctan2(centre[1] - root[1], centre[0] - root[0]) + generator.normal(0, 0.5)
        strokes += vessel_tree(generator, root, inwards, 0.7 * radius, generator.uniform(1.6, 3.0))
    drawn = paint(strokes)
    # A sharp core in a blurred halo: the vessel, and its light scattered in the skin above it.
    return 0.55 * gaussian_filter(drawn, 0.9) + 0.5 * gaussian_filter(drawn, 2.5)


def _ovoid_nests(generator: np.random.Generator, centre: Point, radius: float, nests: int) -> Field:
    blue = np.zeros((HEIGHT, WIDTH))
    for _ in range(nests):
        at = _on_ring(generator, centre, radius * generator.uniform(0.1, 0.85))
        size = generator.lognormal(2.2, 0.4)
        radii = (size * generator.uniform(1.0, 1.8), size)
        nest = outline(generator, at, radii, generator.uniform(0, np.pi), 0.3, 0.1)
        blue = np.maximum(blue, generator.uniform(0.35, 1.0) * rise(nest, -0.8 * size, 0.8 * size))
    return blue
