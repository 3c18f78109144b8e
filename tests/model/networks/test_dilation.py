"""Finer class maps from the same weights: every other position is what it was, the rest what a shifted image gives."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]


def test_every_other_position_is_what_the_network_gave_before() -> None:
    import keras

    from model.networks.architecture import CLASS_MAPS_LAYER, LOGITS_LAYER, build_network
    from model.networks.backbones import BACKBONES
    from model.networks.dilation import with_finer_maps

    keras.utils.set_random_seed(1)
    coarse = build_network(BACKBONES["efficientnet_lite0"], 3, 96, 128, None, None)
    finer = with_finer_maps(coarse)
    image = np.random.default_rng(1).uniform(0, 255, (1, 96, 128, 3)).astype(np.float32)
    maps, logits = keras.Model(
        finer.inputs, [finer.get_layer(name).output for name in (CLASS_MAPS_LAYER, LOGITS_LAYER)]
    )(image, training=False)
    before = keras.Model(coarse.inputs, coarse.get_layer(CLASS_MAPS_LAYER).output)(image, training=False)
    assert before.shape[1:3] == (3, 4) and maps.shape[1:3] == (6, 8)
    scale = np.abs(before).max()
    np.testing.assert_allclose(np.asarray(maps)[:, 1::2, 1::2], before, atol=1e-4 * scale)
    assert np.abs(np.asarray(maps)[:, ::2, ::2] - before).max() > 1e-3 * scale
    np.testing.assert_allclose(logits, np.asarray(maps).mean(axis=(1, 2)), rtol=1e-4, atol=1e-5 * scale)
    assert [layer.name for layer in finer.layers] == [layer.name for layer in coarse.layers]


def test_a_network_that_pads_by_itself_is_refused() -> None:
    from model.networks.architecture import build_network
    from model.networks.backbones import BACKBONES
    from model.networks.dilation import with_finer_maps

    with pytest.raises(ValueError, match="padded"):
        with_finer_maps(build_network(BACKBONES["mobilenet_v2"], 3, 96, 128, None, None))
