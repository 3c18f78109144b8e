"""Images of a dataset that are nearly the same, pixel by pixel, in whichever way one of them is turned or mirrored.

    python -m data.datasets.near_copies --dataset ../shared/ham10000     # rewrites data/ham10000_near_copies.csv
    python -m data.datasets.near_copies --task retina

Such a pair shows one lesion, or one eye, also where the dataset gives it two ids. A dermoscopic image is mostly a dark
spot on a light ground, and a retinal photograph a bright disc on black, so small grey pictures of different ones are
alike as well: pairs that are alike in small are compared in the fine detail of their middle. An image that was taken
anew, nearer or from another side is none such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from data.datasets.ham10000 import TABLES, dataset_arguments, image_path, load_metadata
from data.tasks.known import TASKS
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN

NEAR_COPIES_PATH = TABLES / SKIN.dataset.near_copies
COLUMNS: tuple[str, ...] = ("first", "second", "first_lesion", "second_lesion", "correlation")
SIDE = 24  # pixels, of pictures that are compared with all others
ALIKE = 0.95  # correlation from which a pair is looked at in detail
# Detail is what a blur of one pixel takes away of 64 x 64, in a disc that leaves out the dark corners of the lens.
DETAIL_SIDE, DETAIL_BLUR, DETAIL_RADIUS = 64, 1.0, 24
# By task. Seen side by side, no pair of HAM10000 from this correlation on shows two lesions; from 0.63 down some only
# look alike. A healthy retina has little detail but that of its camera: of APTOS 2019, no pair from 0.98 on shows two
# eyes, and every one from 0.961 down does.
SAME_DETAIL: Mapping[str, float] = {SKIN.key: 0.65, RETINA.key: 0.97}
BLOCK = 1000  # pictures at a time: a thousand times ten thousand correlations take 40 MB

Pictures = NDArray[np.float32]


def grey_pictures(paths: Sequence[Path], side: int = SIDE) -> Pictures:
    """(N, side, side) grey values of images, squeezed into a square and standardised: the mean of the product of two
    is a correlation.
    """
    return _in_threads(partial(_grey_picture, side=side), paths)


def detail_pictures(paths: Sequence[Path]) -> Pictures:
    """(N, 64, 64) fine detail of the middle of images, standardised like `grey_pictures`; 0 outside of the disc."""
    return _in_threads(_detail_picture, paths)


def _in_threads(read: Callable[[Path], Pictures], paths: Sequence[Path]) -> Pictures:
    with ThreadPoolExecutor() as pool:
        return np.stack(list(pool.map(read, paths)))


def _grey(path: Path, side: int) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("L").resize((side, side), Image.Resampling.BOX)


def _grey_picture(path: Path, side: int) -> Pictures:
    values = np.asarray(_grey(path, side), dtype=np.float32)
    return (values - values.mean()) / max(float(values.std()), 1e-6)


def _detail_picture(path: Path) -> Pictures:
    grey = _grey(path, DETAIL_SIDE)
    blurred = grey.filter(ImageFilter.GaussianBlur(DETAIL_BLUR))
    detail = np.asarray(grey, dtype=np.float32) - np.asarray(blurred, dtype=np.float32)
    across, down = np.ogrid[:DETAIL_SIDE, :DETAIL_SIDE]
    middle = (DETAIL_SIDE - 1) / 2
    is_inside = (across - middle) ** 2 + (down - middle) ** 2 <= DETAIL_RADIUS**2
    detail = np.where(is_inside, detail - detail[is_inside].mean(), 0)
    return (detail / max(float(detail.std()), 1e-6)).astype(np.float32)


def alike(pictures: Pictures, least: float) -> Iterator[tuple[int, int, float]]:
    """Pairs of standardised pictures, first below second, and their highest correlation of all eight orientations.

    Args:
        pictures: see `grey_pictures`.
        least: pairs below this correlation are left out.
    """
    flat = pictures.reshape(len(pictures), -1)
    for start in range(0, len(flat), BLOCK):
        block = pictures[start : start + BLOCK]
        highest = np.full((len(block), len(flat) - start), -1, dtype=np.float32)
        for turned in orientations(block):
            np.maximum(highest, turned.reshape(len(block), -1) @ flat[start:].T / flat.shape[1], out=highest)
        for first, second in np.argwhere(np.triu(highest >= least, 1)):
            yield int(first) + start, int(second) + start, float(highest[first, second])


def orientations(pictures: Pictures) -> Iterator[Pictures]:
    """Pictures, (N, side, side), in their eight orientations: turned by quarters, and the same mirrored."""
    for mirrored in (pictures, pictures[:, :, ::-1]):
        for turns in range(4):
            yield np.rot90(mirrored, turns, (1, 2))


def find_near_copies(metadata: pd.DataFrame, dataset: Path, least: float = SAME_DETAIL[SKIN.key]) -> pd.DataFrame:
    """The pairs of a HAM10000 folder's images that are nearly the same; images without a file are left out.

    Args:
        metadata: of the folder.
        dataset: the folder.
        least: correlation of their detail from which two images are nearly the same.

    Returns:
        Columns first, second (image ids, in the order of the metadata), first_lesion, second_lesion, and correlation
        of their detail, the highest first.
    """
    lesion_of = dict(zip(metadata["image_id"], metadata["lesion_id"], strict=True))
    paths = {image_id: path for image_id in metadata["image_id"] if (path := image_path(dataset, image_id))}
    image_ids, files = list(paths), list(paths.values())
    pairs = [(first, second) for first, second, _ in alike(grey_pictures(files), ALIKE)]
    places = sorted({place for pair in pairs for place in pair})
    details = dict(zip(places, detail_pictures([files[place] for place in places]), strict=True)) if places else {}
    found = []
    for first, second in pairs:
        correlation = _highest(details[first], details[second])
        if correlation >= least:
            ids = (image_ids[first], image_ids[second])
            found.append((*ids, *map(lesion_of.__getitem__, ids), round(correlation, 3)))
    return pd.DataFrame(found, columns=list(COLUMNS)).sort_values("correlation", ascending=False, kind="stable")


def _highest(first: Pictures, second: Pictures) -> float:
    """The correlation of two pictures in that of the eight orientations in which it is highest."""
    return max(float((turned[0] * second).mean()) for turned in orientations(first[np.newaxis]))


def load_near_copies(path: Path = NEAR_COPIES_PATH) -> pd.DataFrame:
    """The committed table (see `find_near_copies`); works without the dataset."""
    return pd.read_csv(path)


def main() -> None:
    arguments = dataset_arguments(__doc__).parse_args()
    task = TASKS[arguments.task]
    dataset = arguments.dataset or task.dataset.folder
    found = find_near_copies(load_metadata(dataset, task.codes), dataset, SAME_DETAIL[task.key])
    output = arguments.output or TABLES / task.dataset.near_copies
    found.to_csv(output, index=False)
    print(f"{output}: {len(found):,} pairs")


if __name__ == "__main__":
    main()
