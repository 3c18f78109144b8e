"""What Quantus, the field's reference, measures on ten images handed over, in an environment of its own.

    python -m tests.support.environments.quantus_reference GIVEN.npz MEASURED.npz

Quantus comes without PyTorch and TensorFlow here: it measures networks of neither as soon as its own wrapping of models
is passed over. Images go one by one, since it may scale maps by the maximum of a batch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import quantus
from quantus.functions.similarity_func import correlation_pearson, correlation_spearman
from quantus.helpers import utils
from quantus.helpers.model.model_interface import ModelInterface

from tests.support.environments.tiny_network import TinyNetwork, to_pixels


class Wrapped(ModelInterface):
    """A `TinyNetwork`, and what is left of it from the output downwards, as Quantus wants it."""

    def __init__(self, network: TinyNetwork, randomised: list[TinyNetwork]) -> None:
        super().__init__(network)
        self.randomised = randomised

    def predict(self, x: np.ndarray, **options: Any) -> np.ndarray:
        return self.model.probabilities(last(x))

    def shape_input(self, x: np.ndarray, *args: Any, **options: Any) -> np.ndarray:
        return x

    def get_model(self) -> TinyNetwork:
        return self.model

    def get_random_layer_generator(self, order: str = "top_down", seed: int = 0) -> Iterator[tuple[str, TinyNetwork]]:
        assert order == "top_down"
        yield from zip(("last", "both"), self.randomised, strict=True)

    @property
    def random_layer_generator_length(self) -> int:
        return len(self.randomised)

    def _unused(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    get_softmax_arg_model = state_dict = add_mean_shift_to_first_layer = get_hidden_representations = _unused


def last(images: np.ndarray) -> np.ndarray:
    """Channels last, from channels first."""
    return np.moveaxis(images, 1, -1)


def first(images: np.ndarray) -> np.ndarray:
    """Channels first, from channels last."""
    return np.moveaxis(images, -1, 1)


def signed(model: TinyNetwork, inputs: np.ndarray, targets: np.ndarray, **options: Any) -> np.ndarray:
    """(N, H, W) class maps of the targets."""
    maps = model.class_maps(last(inputs))
    return to_pixels(np.stack([one[..., target] for one, target in zip(maps, targets, strict=True)]))


def positive(model: TinyNetwork, inputs: np.ndarray, targets: np.ndarray, **options: Any) -> np.ndarray:
    """The same as shown: what speaks for the class."""
    return np.maximum(signed(model, inputs, targets), 0)


def curve(model: Wrapped, start: np.ndarray, end: np.ndarray, target: np.ndarray, heatmap: np.ndarray, pixels: int):  # type: ignore[no-untyped-def]
    """The scores while the pixels of `start` become those of `end`, hottest first; its start is left out."""

    def replaced(arr: np.ndarray, indices: np.ndarray, **options: Any) -> np.ndarray:
        changed = arr.copy()
        changed[0, indices[0]] = end.reshape(-1)[indices[0]]
        return changed

    metric = quantus.PixelFlipping(
        features_in_step=3 * pixels, normalise=False, perturb_func=replaced, disable_warnings=True
    )
    return metric(model=model, x_batch=start, y_batch=target, a_batch=heatmap, channel_first=True, softmax=False)[0]


def largest_change(model: Wrapped, image: np.ndarray, target: np.ndarray, noisy: np.ndarray) -> float:
    """Max-sensitivity over noisy copies that were handed over."""
    copies = iter(noisy.reshape(len(noisy), 1, -1))
    metric = quantus.MaxSensitivity(
        nr_samples=len(noisy),
        normalise=True,
        perturb_func=lambda arr, indices, **options: next(copies),
        disable_warnings=True,
    )
    heatmap = positive(model.get_model(), image, target)
    options = {"channel_first": True, "softmax": False, "explain_func": positive}
    return metric(model=model, x_batch=image, y_batch=target, a_batch=heatmap, **options)[0]


def similarities(
    model: Wrapped, image: np.ndarray, target: np.ndarray, explain: Callable[..., np.ndarray], **how: Any
) -> list[float]:
    """Likeness of the maps of both stages of randomisation to the network's."""
    metric = quantus.MPRT(layer_order="top_down", normalise=False, disable_warnings=True, **how)
    options = {"channel_first": True, "softmax": False, "explain_func": explain}
    heatmap = explain(model.get_model(), image, target)
    scores = metric(model=model, x_batch=image, y_batch=target, a_batch=heatmap, **options)
    return [scores["last"][0], scores["both"][0]]


def main(given_path: str, measured_path: str) -> None:
    # Quantus knows networks of PyTorch and TensorFlow alone; ours are wrapped already.
    utils.get_wrapped_model = lambda model, **options: model
    given = np.load(given_path)
    measured: dict[str, list[Any]] = {
        name: []
        for name in ("insertion", "deletion", "change", "rank_correlation", "absolute_rank_correlation", "correlation")
    }
    networks = [TinyNetwork((given[f"hidden{stage}"], given[f"classes{stage}"])) for stage in range(3)]
    model, pixels = Wrapped(networks[0], networks[1:]), int(given["pixels_in_step"])
    images, blurred, noisy = (given[name].astype(np.float64) for name in ("images", "blurred", "noisy"))
    for number, target in enumerate(given["targets"]):
        image, blur, targets = first(images[number][np.newaxis]), first(blurred[number][np.newaxis]), np.array([target])
        heatmap = given["heatmaps"][number][np.newaxis]
        measured["insertion"].append(curve(model, blur, image, targets, heatmap, pixels))
        measured["deletion"].append(curve(model, image, blur, targets, heatmap, pixels))
        measured["change"].append(largest_change(model, image, targets, first(noisy[number])))
        for name, explain, how in (
            ("rank_correlation", positive, {"similarity_func": correlation_spearman, "abs": False}),
            ("absolute_rank_correlation", signed, {"similarity_func": correlation_spearman, "abs": True}),
            ("correlation", positive, {"similarity_func": correlation_pearson, "abs": False}),
        ):
            measured[name].append(similarities(model, image, targets, explain, **how))
    np.savez(measured_path, **{name: np.array(values) for name, values in measured.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
