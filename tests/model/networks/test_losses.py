"""The losses on where the lesion is, by hand on maps of four cells."""

from __future__ import annotations

import numpy as np
import pytest

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]

LESION = np.array([1.0, 1.0, 0.0, 0.0], dtype=np.float32).reshape(1, 2, 2, 1)


def test_lesion_loss_by_hand() -> None:
    from model.networks.losses import lesion_loss

    half = np.full((1, 2, 2, 1), 0.5, dtype=np.float32)
    # Cross-entropy log 2 a cell; Dice (2 x 1 + 1) / (2 + 2 + 1).
    assert float(lesion_loss(LESION, half)[0]) == pytest.approx(np.log(2) + 1 - 3 / 5, abs=1e-4)
    assert float(lesion_loss(LESION, LESION)[0]) == pytest.approx(0, abs=1e-4)
    assert float(lesion_loss(LESION, 1 - LESION)[0]) > 10


def maps_of(true_class: list[float], others: float = 0.0) -> np.ndarray:
    maps = np.full((1, 2, 2, 7), others, dtype=np.float32)
    maps[..., 4] = np.array(true_class, dtype=np.float32).reshape(1, 2, 2)
    return maps


def test_class_map_loss_looks_at_the_true_class_alone() -> None:
    from model.networks.losses import class_map_loss

    target = np.zeros((1, 2, 2, 7), dtype=np.float32)
    target[..., 4] = LESION[..., 0]
    inside, outside = maps_of([30, 30, -30, -30]), maps_of([-30, -30, 30, 30])
    assert float(class_map_loss(target, inside)[0]) == pytest.approx(0, abs=1e-4)
    # No overlap: Dice is (0 + 1) / (2 + 2 + 1).
    assert float(class_map_loss(target, outside)[0]) == pytest.approx(1 - 1 / 5, abs=1e-4)
    noisy = maps_of([30, 30, -30, -30], others=25)
    assert float(class_map_loss(target, noisy)[0]) == pytest.approx(0, abs=1e-4)


def test_image_without_lesion_costs_nothing() -> None:
    from model.networks.losses import class_map_loss

    assert float(class_map_loss(np.zeros((1, 2, 2, 7), dtype=np.float32), maps_of([5, 5, 5, 5]))[0]) == 0


def test_map_that_is_negative_everywhere_still_gets_a_gradient() -> None:
    import tensorflow as tf

    from model.networks.losses import class_map_loss

    target = np.zeros((1, 2, 2, 7), dtype=np.float32)
    target[..., 4] = LESION[..., 0]
    maps = tf.Variable(maps_of([-3, -2, -1, -1]))
    with tf.GradientTape() as tape:
        loss = class_map_loss(target, maps)
    gradient = tape.gradient(loss, maps).numpy()[0, ..., 4]
    assert (gradient[0] < 0).all()  # more of it inside lowers the loss
    assert (gradient[1] > 0).all()


def test_image_with_an_empty_mask_costs_and_teaches_nothing() -> None:
    import tensorflow as tf

    from model.networks.losses import class_map_loss, lesion_loss

    empty = np.zeros((1, 2, 2, 1), dtype=np.float32)
    predicted = tf.Variable(np.full((2, 2, 2, 1), 0.5, dtype=np.float32))
    with tf.GradientTape() as tape:
        loss = lesion_loss(np.concatenate([empty, LESION]), predicted)
    assert float(loss[0]) == 0 and float(loss[1]) > 0
    gradient = tape.gradient(loss, predicted).numpy()
    assert (gradient[0] == 0).all() and (gradient[1] != 0).all()
    maps = tf.Variable(maps_of([5, 5, 5, 5]))
    with tf.GradientTape() as tape:
        loss = class_map_loss(np.zeros((1, 2, 2, 7), dtype=np.float32), maps)
    assert (tape.gradient(loss, maps).numpy() == 0).all()
