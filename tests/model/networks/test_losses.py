"""The loss on the class, and those on where the lesion is, by hand on maps of four cells."""

from __future__ import annotations

import numpy as np
import pytest

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]

LESION = np.array([1.0, 1.0, 0.0, 0.0], dtype=np.float32).reshape(1, 2, 2, 1)


def test_class_loss_is_cross_entropy_of_what_the_label_tells_apart() -> None:
    import keras

    from model.networks.losses import ClassLoss

    logits = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    told = np.eye(5, dtype=np.float32)[[0, 1, 2, 4]]
    for smoothing in (0.0, 0.1):
        expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)(told, logits)
        assert float(ClassLoss(smoothing)(told, logits)) == pytest.approx(float(expected), rel=1e-5)
    # The first image may also be of class 3: its loss is that of the other four classes, whatever logit class 3 has.
    told[0, 3] = -1
    others = np.delete(logits[:1], 3, axis=1)
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)(np.eye(4)[:1], others)
    for of_class in (-20.0, 20.0):
        logits[0, 3] = of_class
        assert float(ClassLoss(0.1)(told[:1], logits[:1])) == pytest.approx(float(expected), rel=1e-5)


def test_a_far_grade_costs_more_than_a_near_one() -> None:
    import keras

    from model.networks.losses import ClassLoss

    # Four grades, the true one is 1: probabilities 0.1, 0.2, 0.3, 0.4 lie 1, 0, 1, 4 squared steps away, of at most 9.
    probabilities = np.array([[0.1, 0.2, 0.3, 0.4]], dtype=np.float32)
    labels = np.eye(4, dtype=np.float32)[[1]]
    found = float(ClassLoss(0.0, grade_weight=0.5)(labels, np.log(probabilities)))
    assert found == pytest.approx(-np.log(0.2) + 0.5 * (0.1 + 0.3 + 4 * 0.4) / 9, rel=1e-5)
    swapped = float(ClassLoss(0.0, grade_weight=0.5)(labels, np.log(probabilities[:, [3, 1, 2, 0]])))
    assert swapped < found
    # What the label leaves open is passed over: the other three share all probability.
    open_label = np.array([[0, 1, -1, 0]], dtype=np.float32)
    expected = -np.log(0.2 / 0.7) + 0.5 * (0.1 + 4 * 0.4) / 0.7 / 9
    assert float(ClassLoss(0.0, 0.5)(open_label, np.log(probabilities))) == pytest.approx(expected, rel=1e-5)
    again = keras.losses.deserialize(keras.losses.serialize(ClassLoss(0.0, 0.5)))
    assert float(again(labels, np.log(probabilities))) == pytest.approx(found)


def test_auroc_in_training_does_not_depend_on_a_shift_of_the_logits() -> None:
    from model.measures.metrics import macro_auroc, softmax
    from model.networks.losses import LabelAuroc

    generator = np.random.default_rng(0)
    classes = generator.integers(0, 5, 200)
    labels = np.eye(5, dtype=np.float32)[classes]
    logits = (labels + generator.normal(size=(200, 5))).astype(np.float32)
    for shift in (0.0, 40.0, -40.0):
        metric = LabelAuroc(num_labels=5)
        metric.update_state(labels, logits + np.float32(shift))
        assert float(metric.result()) == pytest.approx(macro_auroc(classes, softmax(logits)), abs=0.01)


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
