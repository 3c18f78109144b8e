"""Networks between networks: means of weights over epochs, and with the network a run began with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray


def average_epochs(network: keras.Model, paths: Sequence[Path]) -> None:
    """Give a network the mean of several epochs' weights, batch-norm statistics included. Changes `network`.

    Epochs near the end of a run lie around the middle of a flat region of the loss; their mean overfits less than any
    one of them, at no cost in serving.

    Source:
        Izmailov et al., UAI 2018, arXiv:1803.05407 (stochastic weight averaging).
    """
    sums: list[NDArray[np.float64]] = []
    for path in paths:
        network.load_weights(path)
        weights = [weight.astype(np.float64) for weight in network.get_weights()]
        sums = [total + weight for total, weight in zip(sums, weights, strict=True)] if sums else weights
    network.set_weights([total / len(paths) for total in sums])


def average_with(network: keras.Model, earlier: keras.Model, share: float) -> None:
    """Give a network the weighted mean of its weights and those of the one it was trained on from. Changes `network`.

    Trained on with images of other clinics, a network gains there and loses a little at home; between the two it gains
    most of the one and loses next to nothing of the other.

    Args:
        network: trained.
        earlier: of the same layers.
        share: of `earlier`, in [0, 1].

    Source:
        Wortsman et al., CVPR 2022, arXiv:2109.01903 (robust fine-tuning).
    """
    pairs = zip(network.get_weights(), earlier.get_weights(), strict=True)
    network.set_weights([(1 - share) * trained + share * start for trained, start in pairs])
