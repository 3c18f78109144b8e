"""Our measures of heatmaps agree with Quantus, the field's reference, on ten images and one tiny network."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from data.datasets.ham10000 import load_metadata
from model.explain.faithfulness import BLUR_SHARE, blur, insertion_deletion
from model.explain.maps import Heatmap
from model.explain.stability import NOISE_SAMPLES, max_sensitivity
from model.images.rejection import RgbImage
from model.studies.heatmap_randomisation import MEASURES, similarity_of
from model.studies.held_out import load_input
from tests.support.environments.made_on_use import ROOT, python_of
from tests.support.environments.tiny_network import CELL, TinyNetwork, stages, to_pixels
from tests.support.tiny_dataset import write_tiny_dataset

IMAGES, HEIGHT, WIDTH, CLASSES = 10, 24, 32, 3
# Quantus wants the pixels of an image to be a multiple of the values in a step, three a pixel.
STEPS = 12

Measured = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Measured, Measured]:
    """What we measure and what Quantus measures, by name, the images in one order."""
    folder = tmp_path_factory.mktemp("quantus")
    given, ours = measured_by_us(ten_images(folder / "tiny"))
    np.savez(folder / "given.npz", **given)
    command = [str(python_of("quantus")), "-W", "error", "-m", "tests.support.environments.quantus_reference"]
    done = subprocess.run(
        [*command, str(folder / "given.npz"), str(folder / "measured.npz")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    with np.load(folder / "measured.npz") as theirs:
        return ours, {name: theirs[name] for name in theirs.files}


def ten_images(folder: Path) -> RgbImage:
    dataset = write_tiny_dataset(folder)
    image_ids = load_metadata(dataset)["image_id"][::8][:IMAGES]
    return np.stack([load_input(dataset, image_id, HEIGHT, WIDTH) for image_id in image_ids])


def measured_by_us(images: RgbImage) -> tuple[Measured, Measured]:
    """What Quantus is given, and what the functions of the studies make of the same."""
    generator = np.random.default_rng(1)
    layers = (generator.normal(size=(3 * CELL**2, 8)), generator.normal(size=(8, CLASSES)))
    networks = (TinyNetwork(layers), *stages(layers, generator))
    blurred = np.stack([blur(image, BLUR_SHARE * HEIGHT) for image in images])
    targets, heatmaps, noisy, ours = [], [], [], {name: [] for name in ("insertion", "deletion", "change", *MEASURES)}
    for image in images:
        # The class with the strongest evidence, so that every map shows something.
        class_maps = [network.class_maps(image[np.newaxis])[0] for network in networks]
        target = int(class_maps[0].max(axis=(0, 1)).argmax())
        heatmap = without_ties(class_maps[0][..., target], generator)
        seen: list[RgbImage] = []

        def score(shown: RgbImage, target: int = target) -> float:
            return float(networks[0].probabilities(shown[np.newaxis])[0, target])

        def map_of(shown: RgbImage, target: int = target, seen: list[RgbImage] = seen) -> Heatmap:
            seen.append(shown)
            return np.maximum(networks[0].class_maps(shown[np.newaxis])[0, ..., target], 0)

        insertion, deletion = insertion_deletion(image, heatmap, score, STEPS)
        ours["insertion"].append(insertion)
        ours["deletion"].append(deletion)
        ours["change"].append(max_sensitivity(image, map_of, generator))
        alike = [similarity_of(class_maps[0][..., target], one[..., target]) for one in class_maps[1:]]
        for name in MEASURES:
            ours[name].append([getattr(one, name) for one in alike])
        targets.append(target)
        heatmaps.append(heatmap)
        noisy.append(np.stack(seen[1:]))
    given = {"images": images, "blurred": blurred, "noisy": np.stack(noisy), "heatmaps": np.stack(heatmaps)}
    given |= {"targets": np.array(targets), "pixels_in_step": np.array(HEIGHT * WIDTH // STEPS)}
    for stage, network in enumerate(networks):
        given |= {f"hidden{stage}": network.layers[0], f"classes{stage}": network.layers[1]}
    given["start"] = np.stack(
        [
            [networks[0].probabilities(shown[np.newaxis])[0, target] for shown in (blur_of, image)]
            for blur_of, image, target in zip(blurred, images, targets, strict=True)
        ]
    )
    return given, {name: np.array(values) for name, values in ours.items()} | {"start": given["start"]}


def without_ties(class_map: np.ndarray, generator: np.random.Generator) -> Heatmap:
    """A heatmap whose pixels have an order: where values are equal, each implementation has one of its own."""
    heatmap = to_pixels(np.maximum(class_map, 0))
    heatmap = (heatmap + generator.permutation(heatmap.size).reshape(heatmap.shape) * 1e-4).astype(np.float32)
    assert len(np.unique(heatmap)) == heatmap.size
    return heatmap


@pytest.mark.parametrize(("name", "start"), [("insertion", 0), ("deletion", 1)])
def test_insertion_and_deletion_are_pixel_flipping(both: tuple[Measured, Measured], name: str, start: int) -> None:
    ours, theirs = both
    # Quantus leaves out the score before the first step.
    curves = np.column_stack([ours["start"][:, start], theirs[name]])
    assert curves.shape == (IMAGES, STEPS + 1)
    areas = (curves[:, 1:] + curves[:, :-1]).mean(axis=1) / 2
    np.testing.assert_allclose(ours[name], areas, rtol=1e-6)
    assert np.ptp(areas) > 0.05  # ten images that differ


def test_change_under_noise_is_max_sensitivity(both: tuple[Measured, Measured]) -> None:
    ours, theirs = both
    np.testing.assert_allclose(ours["change"], theirs["change"], rtol=1e-6)
    assert (ours["change"] > 0.001).all() and NOISE_SAMPLES == 10


@pytest.mark.parametrize("name", MEASURES)
def test_likeness_to_randomised_networks_is_that_of_cascading_randomisation(
    both: tuple[Measured, Measured], name: str
) -> None:
    ours, theirs = both
    assert ours[name].shape == (IMAGES, 2)
    np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6)
    assert np.isfinite(ours[name]).sum() > IMAGES and np.abs(ours[name][np.isfinite(ours[name])]).min() < 0.9
