"""The sample images: synthetic lesions and eyes for the demo and the tests, so that neither needs a patient's image.

A lesion (`data.synthetic.lesions`) is laid into skin (`data.synthetic.skin`) and photographed
(`data.synthetic.dermatoscope`); an eye is drawn with what is to be seen of its retina (`data.synthetic.eyes`). The same
seed gives the same picture. `intended_dx` says which recipe drew it, not what a classifier or a physician should
answer: a drawing has no diagnosis, and no figure may be computed from these.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from data.synthetic import lesions
from data.synthetic.dermatoscope import APRICOT, BEIGE, MAUVE, PALE, PINK, Camera, RgbImage, photograph
from data.synthetic.eyes import Eye, photograph_eye
from data.synthetic.skin import Tissue, colour, healthy_skin, joined

SAMPLE_FOLDER = Path(__file__).resolve().parents[1] / "sample"
TABLE = "samples.csv"
DISCLOSURE = "Synthetic image drawn by LesionLens; not a patient"
IMAGE_DESCRIPTION = 0x010E  # EXIF 2.3, tag ImageDescription
JPEG_QUALITY = 92


@dataclass(frozen=True)
class Sample:
    """One picture to draw.

    Attributes:
        intended_dx: dx code of the recipe.
        number: counts the samples of one dx, from 1.
        seed: decides where everything lies.
        picture: draws it, (450, 600, 3) uint8 RGB, 0-255, by a generator of randomness.
        description: one line for samples.csv.
    """

    intended_dx: str
    number: int
    seed: int
    picture: Callable[[np.random.Generator], RgbImage]
    description: str

    @property
    def file(self) -> str:
        return f"synthetic_{self.intended_dx}_{self.number}.jpg"


def _photographed_skin(
    lesion: Callable[[np.random.Generator], Tissue], camera: Camera, generator: np.random.Generator
) -> RgbImage:
    skin = healthy_skin(generator, camera.freckles, camera.flush, camera.furrows)
    return photograph(generator, colour(joined(skin, lesion(generator)), camera.skin), camera)


def _photographed_eye(eye: Eye, generator: np.random.Generator) -> RgbImage:
    return photograph_eye(generator, eye)


SAMPLES: tuple[Sample, ...] = (
    Sample(
        "akiec",
        1,
        1330,
        partial(
            _photographed_skin,
            partial(lesions.actinic_keratosis, redness=0.3, pigment=0.4),
            Camera(PALE, freckles=0.4, flush=0.9, dark_corners=0.6, glints=1),
        ),
        "scaly pinkish red plaque, strawberry pattern",
    ),
    Sample(
        "bcc",
        1,
        1011,
        partial(_photographed_skin, partial(lesions.basal_cell_carcinoma, nests=9), Camera(MAUVE, flush=0.6, glints=2)),
        "arborising vessels, blue-grey ovoid nests, small ulcer",
    ),
    Sample(
        "bcc",
        2,
        1020,
        partial(
            _photographed_skin,
            partial(lesions.basal_cell_carcinoma, radius=95, nests=4, trees=8, ulcer=0),
            Camera(PALE, freckles=0.3, flush=0.7, dark_corners=0.5),
        ),
        "pearly, many branching vessels, few nests",
    ),
    Sample(
        "bkl",
        1,
        1030,
        partial(_photographed_skin, partial(lesions.keratosis, greyness=0.2, darkness=0.75), Camera(PINK, vellus=14)),
        "waxy brown, milia-like cysts and comedo-like openings",
    ),
    Sample(
        "bkl",
        2,
        1041,
        partial(
            _photographed_skin,
            partial(lesions.keratosis, greyness=0.7, comedones=0.9, milia=0.7, darkness=0.5),
            Camera(PALE, freckles=0.4, hairs=4),
        ),
        "greyish brown, many comedo-like openings",
    ),
    Sample(
        "bkl",
        3,
        1051,
        partial(
            _photographed_skin,
            partial(lesions.keratosis, gyri=0.8, comedones=0.1, milia=0.3, notches=0.1, fading=1.0),
            Camera(BEIGE, freckles=0.5, bubbles=2),
        ),
        "brain-like folds, moth-eaten border",
    ),
    Sample(
        "df",
        1,
        1062,
        partial(_photographed_skin, partial(lesions.dermatofibroma, pigment=0.4), Camera(APRICOT, hairs=3, vellus=20)),
        "white scar-like patch, faint peripheral network",
    ),
    Sample(
        "mel",
        1,
        1071,
        partial(_photographed_skin, lesions.melanoma, Camera(BEIGE, freckles=0.2, bubbles=3, glints=2)),
        "asymmetric, several colours, blue-white veil, atypical network",
    ),
    Sample(
        "mel",
        2,
        1083,
        partial(
            _photographed_skin,
            partial(lesions.melanoma, radius=125, regression=1.0, blackness=0.5),
            Camera(PALE, freckles=0.5, dark_corners=0.8),
        ),
        "regression and blue-grey areas, ragged border",
    ),
    Sample(
        "mel",
        3,
        1090,
        partial(
            _photographed_skin,
            partial(lesions.melanoma, radius=110, veil=0.3, regression=0.2, blackness=1.0, streaks=0.9),
            Camera(PINK, hairs=5),
        ),
        "dark brown and black, streaks at the border",
    ),
    Sample(
        "nv",
        1,
        1105,
        partial(_photographed_skin, lesions.nevus, Camera(PINK)),
        "round, regular network that fades to the rim",
    ),
    Sample(
        "nv",
        2,
        1111,
        partial(
            _photographed_skin,
            partial(lesions.nevus, radius=80, darkness=1.3, elongation=1.4),
            Camera(APRICOT, hairs=9),
        ),
        "small, dark brown, under hairs",
    ),
    Sample(
        "nv",
        3,
        1125,
        partial(
            _photographed_skin,
            partial(lesions.nevus, radius=95, globules=0.9, darkness=0.85),
            Camera(MAUVE, bubbles=2, furrows=0.8),
        ),
        "brown globules",
    ),
    Sample(
        "vasc",
        1,
        1132,
        partial(_photographed_skin, partial(lesions.angioma, purple=0.25), Camera(PINK, flush=0.7, vellus=16)),
        "red and purple lacunae, sharp border",
    ),
    Sample("dr0", 1, 1400, partial(_photographed_eye, Eye(nose=1)), "disc, macula and vessels, nothing else"),
    Sample(
        "dr1",
        1,
        1401,
        partial(_photographed_eye, Eye((198.0, 112.0, 56.0), -1, microaneurysms=9)),
        "a few microaneurysms",
    ),
    Sample(
        "dr2",
        1,
        1402,
        partial(_photographed_eye, Eye((190.0, 112.0, 60.0), 1, 16, haemorrhages=9, exudates=4, cotton_wool=1)),
        "microaneurysms, some haemorrhages, hard exudates",
    ),
    Sample(
        "dr3",
        1,
        1403,
        partial(_photographed_eye, Eye((196.0, 98.0, 40.0), -1, 25, haemorrhages=60, exudates=3, cotton_wool=5)),
        "many haemorrhages in all quarters, cotton-wool spots",
    ),
    Sample(
        "dr4",
        1,
        1404,
        partial(
            _photographed_eye,
            Eye((202.0, 104.0, 48.0), 1, 14, haemorrhages=14, exudates=2, new_vessels=3, has_blood_before=True),
        ),
        "new vessels on the disc and elsewhere, blood before the retina",
    ),
)


def draw(sample: Sample) -> RgbImage:
    """The picture of a sample: (450, 600, 3) uint8 RGB, 0-255; equal samples give equal pixels."""
    return sample.picture(np.random.default_rng(sample.seed))


def save(image: RgbImage, path: Path) -> None:
    """Write a JPEG that says in its EXIF description and its comment that it is synthetic."""
    exif = Image.Exif()
    exif[IMAGE_DESCRIPTION] = DISCLOSURE
    Image.fromarray(image).save(path, "JPEG", quality=JPEG_QUALITY, exif=exif, comment=DISCLOSURE)


def write_samples(folder: Path) -> None:
    """Draw every sample into a folder, made if need be, and list them in its samples.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    for sample in SAMPLES:
        save(draw(sample), folder / sample.file)
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("file", "intended_dx", "seed", "description"))
        writer.writerows((sample.file, sample.intended_dx, sample.seed, sample.description) for sample in SAMPLES)
