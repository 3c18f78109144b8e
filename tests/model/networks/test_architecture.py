"""Networks with random weights: what ensembles, grids and views must not change, and what is trained when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    import keras

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]

HEIGHT, WIDTH = 96, 128


def network_of(seed: int) -> keras.Model:
    """A small-input network whose batch norms have something to say."""
    import keras

    from model.networks.architecture import LESION_LAYER, build_network
    from model.networks.backbones import BACKBONES

    keras.utils.set_random_seed(seed)
    network = build_network(BACKBONES["mobilenet_v2"], 7, HEIGHT, WIDTH, None, LESION_LAYER)
    shake_norms(network, seed)
    return network


def texture_layers() -> tuple[str, ...]:
    from model.networks.backbones import BACKBONES

    return BACKBONES["mobilenet_v2"].texture_layers


def shake_norms(network: keras.Model, seed: int) -> None:
    """Give every batch norm statistics, scales and offsets of its own."""
    import keras

    generator = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([generator.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])


@pytest.fixture(scope="module")
def networks() -> list[keras.Model]:
    return [network_of(seed) for seed in (1, 2)]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """A dark and a bright image of large patches, different enough for untrained networks."""
    patches = np.random.default_rng(0).integers(0, 128, (2, 3, 4, 3)) + np.array([0, 127]).reshape(2, 1, 1, 1)
    return np.kron(patches, np.ones((1, HEIGHT // 3, WIDTH // 4, 1))).astype(np.float32)


def answers(network: keras.Model, images: np.ndarray, members: int = 1) -> dict[str, np.ndarray]:
    from model.networks.architecture import build_serving_network

    outputs = build_serving_network(network, HEIGHT, WIDTH).predict_on_batch(images)
    assert outputs["member_logits"].shape == (len(images), members, 7)
    return outputs


def test_ensemble_answers_with_the_mean_of_its_members(networks: list[keras.Model], images: np.ndarray) -> None:
    from model.networks.ensemble import build_ensemble

    logits = [network.predict_on_batch(images) for network in networks]
    outputs = answers(build_ensemble(networks, HEIGHT, WIDTH, texture_layers()), images, members=2)
    np.testing.assert_allclose(outputs["member_logits"], np.stack(logits, axis=1), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(outputs["logits"], np.mean(logits, axis=0), rtol=1e-3, atol=1e-4)
    assert outputs["embedding"].shape == (2, 2 * 1280)
    assert outputs["lesion"].shape == (2, HEIGHT // 16, WIDTH // 16)


@pytest.mark.parametrize("views", [1, 2])
def test_maps_and_bias_add_up_to_the_logits(networks: list[keras.Model], images: np.ndarray, views: int) -> None:
    from model.networks.architecture import CLASS_MAPS_LAYER
    from model.networks.ensemble import build_ensemble

    ensemble = build_ensemble(networks, HEIGHT, WIDTH, texture_layers(), views)
    outputs = answers(ensemble, images, members=2)
    kernel, bias = ensemble.get_layer(CLASS_MAPS_LAYER).get_weights()
    np.testing.assert_allclose(outputs["maps"].mean(axis=(1, 2)) + bias, outputs["logits"], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(outputs["embedding"] @ kernel + bias, outputs["logits"], rtol=1e-3, atol=1e-3)


def test_two_views_answer_alike_for_an_image_and_its_mirror_image(
    networks: list[keras.Model], images: np.ndarray
) -> None:
    from model.networks.ensemble import build_ensemble

    mirrored = np.ascontiguousarray(images[:, :, ::-1])
    one = answers(build_ensemble(networks[:1], HEIGHT, WIDTH, texture_layers(), views=2), images)
    other = answers(build_ensemble(networks[:1], HEIGHT, WIDTH, texture_layers(), views=2), mirrored)
    np.testing.assert_allclose(one["logits"], other["logits"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(one["maps"], other["maps"][:, :, ::-1], rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(one["lesion"], other["lesion"][:, :, ::-1], rtol=1e-3, atol=1e-4)
    single = networks[0].predict_on_batch(images), networks[0].predict_on_batch(mirrored)
    np.testing.assert_allclose(one["logits"], np.mean(single, axis=0), rtol=1e-3, atol=1e-4)


def test_other_numbers_of_views_are_refused(networks: list[keras.Model]) -> None:
    from model.networks.ensemble import build_ensemble

    with pytest.raises(ValueError, match="expected 1 or 2 views, received 3"):
        build_ensemble(networks, HEIGHT, WIDTH, texture_layers(), views=3)


def test_lesion_weights_have_mean_one_and_follow_the_lesion() -> None:
    from model.networks.architecture import WeightByLesion

    lesion = np.array([[1.0, 0.0], [0.0, 0.0]], dtype=np.float32).reshape(1, 2, 2, 1)
    weighted = np.asarray(WeightByLesion(0.25)([np.ones((1, 2, 2, 3), dtype=np.float32), lesion]))
    # 1.25 and three times 0.25: mean 0.5.
    assert weighted[0, :, :, 0].tolist() == [[2.5, 0.5], [0.5, 0.5]]
    assert weighted.mean() == 1


def test_freezing_begins_below_the_named_layer() -> None:
    import keras

    from model.networks.architecture import set_trainable

    network = network_of(3)
    set_trainable(network, "block_6_expand", is_batch_norm_frozen=False)
    assert not network.get_layer("block_5_depthwise").trainable
    assert network.get_layer("block_6_expand").trainable and network.get_layer("block_6_expand_BN").trainable
    set_trainable(network, "image", is_batch_norm_frozen=True)
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms and not any(layer.trainable for layer in norms)
    assert network.get_layer("block_5_depthwise").trainable
    with pytest.raises(ValueError, match="expected the name of a layer"):
        set_trainable(network, "block_99", is_batch_norm_frozen=True)


def test_member_of_an_ensemble_can_be_trained_on_at_any_size(networks: list[keras.Model], images: np.ndarray) -> None:
    from model.networks.architecture import LESION_LAYER, LOGITS_LAYER, build_training_network
    from model.networks.ensemble import build_ensemble, member_of

    member = member_of(build_ensemble(networks, HEIGHT, WIDTH, texture_layers()), 1)
    np.testing.assert_allclose(
        member.predict_on_batch(images), networks[1].predict_on_batch(images), rtol=1e-3, atol=1e-4
    )
    outputs = build_training_network(member, [LOGITS_LAYER, LESION_LAYER]).predict_on_batch(
        np.zeros((1, 64, 96, 3), dtype=np.float32)
    )
    assert outputs["lesion"].shape == (1, 4, 6, 1)
    with pytest.raises(ValueError, match="member7"):
        member_of(build_ensemble(networks, HEIGHT, WIDTH, texture_layers()), 7)


@pytest.mark.parametrize("views", [1, 2])
def test_some_of_an_ensemble_answer_as_they_do_within_it(images: np.ndarray, views: int) -> None:
    import keras

    from model.networks.architecture import LESION_LAYER, build_network
    from model.networks.backbones import BACKBONES
    from model.networks.ensemble import build_ensemble, some_of

    keras.utils.set_random_seed(3)
    sizes = {LESION_LAYER: (HEIGHT, WIDTH), None: (64, 96)}
    members = [build_network(BACKBONES["mobilenet_v2"], 7, *size, None, branch) for branch, size in sizes.items()]
    whole = build_ensemble([*members, network_of(4)], HEIGHT, WIDTH, texture_layers(), views)
    within = answers(whole, images, members=3)["member_logits"]
    for numbers in ([1], [0, 2]):
        some = some_of(whole, numbers, views)
        alone = answers(some, images, members=len(numbers))
        np.testing.assert_allclose(alone["member_logits"], within[:, numbers], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(alone["logits"], within[:, numbers].mean(axis=1), rtol=1e-3, atol=1e-4)
        # Whatever becomes of these, the ensemble stays.
        some.set_weights([np.zeros_like(weight) for weight in some.get_weights()])
    np.testing.assert_array_equal(answers(whole, images, members=3)["member_logits"], within)


def test_bringing_to_a_grid_keeps_the_mean_and_averages_what_it_covers() -> None:
    from model.networks.ensemble import BringToGrid

    values = np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1)  # rows 0 1 2 and 3 4 5
    finer = np.asarray(BringToGrid(4, 6)(values))[0, :, :, 0]
    np.testing.assert_allclose(finer[[0, 2]], [[0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5]])
    # Of three columns two: each new one covers one and a half of them.
    coarser = np.asarray(BringToGrid(1, 2)(values))[0, 0, :, 0]
    np.testing.assert_allclose(coarser, [(0 + 3 + 0.5 + 2) / 3, (2 + 5 + 0.5 + 2) / 3], rtol=1e-6)
    uneven = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype(np.float32)
    brought = np.asarray(BringToGrid(6, 8)(uneven))
    np.testing.assert_allclose(brought.mean(axis=(1, 2)), uneven.mean(axis=(1, 2)), atol=1e-6)


def test_ensemble_mixes_backbones_sizes_and_lesion_branches(networks: list[keras.Model], images: np.ndarray) -> None:
    import keras

    from model.networks.architecture import build_network, build_serving_network
    from model.networks.backbones import BACKBONES
    from model.networks.ensemble import build_ensemble

    xception = BACKBONES["xception_small"]
    smaller = build_network(xception, 7, 64, 96, None, None)
    ensemble = build_ensemble([smaller, networks[0]], HEIGHT, WIDTH, xception.texture_layers)
    outputs = {
        name: np.asarray(values) for name, values in build_serving_network(ensemble, HEIGHT, WIDTH)(images).items()
    }
    resized = keras.ops.image.resize(images, (64, 96), interpolation="bilinear")
    logits = [np.asarray(smaller(resized)), np.asarray(networks[0](images))]
    np.testing.assert_allclose(outputs["member_logits"], np.stack(logits, axis=1), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(outputs["logits"], np.mean(logits, axis=0), rtol=1e-3, atol=1e-4)
    # The finest grid is that of the lesion branch at 96 x 128 px; the lesion is the one member's that finds it.
    assert outputs["maps"].shape == (2, 6, 8, 7) and outputs["embedding"].shape == (2, 1024 + 1280)
    np.testing.assert_allclose(
        outputs["lesion"], np.asarray(lesion_of(networks[0], images))[..., 0], rtol=1e-3, atol=1e-4
    )
    assert outputs["texture"].shape == (2, 2 * 256)


def lesion_of(network: keras.Model, images: np.ndarray) -> np.ndarray:
    import keras

    return keras.Model(network.inputs, network.get_layer("lesion").output)(images)


def test_without_a_lesion_branch_nothing_says_where_the_lesion_is(images: np.ndarray) -> None:
    from model.networks.architecture import ATTENTION_LAYER, build_network, build_serving_network
    from model.networks.backbones import BACKBONES
    from model.networks.ensemble import build_ensemble

    xception = BACKBONES["xception_small"]
    for branch in (None, ATTENTION_LAYER):
        network = build_network(xception, 3, HEIGHT, WIDTH, None, branch)
        ensemble = build_ensemble([network], HEIGHT, WIDTH, xception.texture_layers)
        outputs = build_serving_network(ensemble, HEIGHT, WIDTH)(images)
        assert set(outputs) == {"logits", "member_logits", "embedding", "texture", "maps"}
        assert outputs["maps"].shape == (2, 6, 8, 3)


def test_saved_network_of_before_answers_as_its_serving_file() -> None:
    import keras

    from model.inference.artifact import DEFAULT_ARTIFACT, load_artifact
    from model.inference.runtimes import LiteRTClassifier
    from model.networks.architecture import build_serving_network

    artifact = load_artifact(DEFAULT_ARTIFACT)
    image = np.random.default_rng(0).integers(0, 256, (artifact.height, artifact.width, 3), dtype=np.uint8)
    network = keras.models.load_model(artifact.keras_path, compile=False)
    expected = build_serving_network(network, artifact.height, artifact.width)(image[np.newaxis].astype(np.float32))
    served = LiteRTClassifier(artifact).forward(image)
    for name, values in expected.items():
        values = np.asarray(values)[0]
        np.testing.assert_allclose(
            getattr(served, name), values, rtol=1e-3, atol=1e-4 * np.abs(values).max(), err_msg=name
        )
