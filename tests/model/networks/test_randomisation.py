"""Cascading randomisation of an ensemble of two small networks, one with a branch that finds the lesion."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from model.studies.heatmap_randomisation import (
    RandomisedMap,
    forward_of,
    randomised_maps,
    similarity_of,
    summarise_randomised,
)
from model.studies.held_out import StudyImage
from tests.support.artifacts import artifact_with

if TYPE_CHECKING:
    import keras

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]

HEIGHT, WIDTH = 64, 96


@pytest.fixture(scope="module")
def ensemble() -> keras.Model:
    import keras

    from model.networks.architecture import LESION_LAYER, build_network
    from model.networks.ensemble import build_ensemble
    from tests.support.quick_training import TINY

    keras.utils.set_random_seed(1)
    members = [build_network(TINY, 7, HEIGHT, WIDTH, None, branch) for branch in (LESION_LAYER, None)]
    for member in members:
        # A bias of zeros would be the same in any order.
        for layer in member.layers:
            if len(layer.get_weights()) == 2 and not isinstance(layer, keras.layers.BatchNormalization):
                kernel, bias = layer.get_weights()
                layer.set_weights([kernel, np.linspace(0.1, 1, bias.size)])
    return build_ensemble(members, HEIGHT, WIDTH, TINY.texture_layers)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def weights_of(ensemble: keras.Model) -> dict[str, list[np.ndarray]]:
    """All weights by layer; a layer of a member by both names."""
    import keras

    found = {layer.name: layer.get_weights() for layer in ensemble.layers if layer.weights}
    for member in [layer for layer in ensemble.layers if isinstance(layer, keras.Model)]:
        del found[member.name]
        found |= {f"{member.name}/{layer.name}": layer.get_weights() for layer in member.layers if layer.weights}
    return found


def changed(before: dict[str, list[np.ndarray]], after: dict[str, list[np.ndarray]]) -> set[str]:
    return {
        name
        for name, weights in before.items()
        if not all(np.array_equal(one, other) for one, other in zip(weights, after[name], strict=True))
    }


def test_layers_go_from_the_output_down_and_come_back(ensemble: keras.Model) -> None:
    from model.networks.randomisation import BACKBONE_PARTS, STAGES, randomised

    before = weights_of(ensemble)
    reached, gone = [], []
    for stage in randomised(ensemble, np.random.default_rng(0)):
        reached.append(stage)
        gone.append(changed(before, weights_of(ensemble)))
    assert reached == list(STAGES) and len(STAGES) == 2 + BACKBONE_PARTS
    assert gone[0] == {"class_maps"}
    branch = {f"member0/lesion_{name}" for name in ("project", "hidden")} | {"member0/lesion"}
    # The one value of the lesion's bias has no other order; its kernel has. Each member's own dense layer goes as well.
    assert gone[1] - gone[0] == branch | {"member0/class_maps", "member1/class_maps"}
    # Two convolutions and two norms a member: the upper half is the late pair. New norms have ones and zeros alone.
    assert gone[1 + BACKBONE_PARTS // 2] - gone[1] == {"member0/late", "member1/late"}
    assert gone[-1] - gone[1] == {f"member{number}/{name}" for number in (0, 1) for name in ("late", "early")}
    assert all(earlier <= later for earlier, later in pairwise(gone))
    assert changed(before, weights_of(ensemble)) == set()


def test_weights_keep_their_values_and_lose_their_places(ensemble: keras.Model) -> None:
    from model.networks.randomisation import randomised

    before = weights_of(ensemble)
    for stage in randomised(ensemble, np.random.default_rng(0)):
        if stage.backbone_share == 1:
            for name, weights in weights_of(ensemble).items():
                for one, other in zip(before[name], weights, strict=True):
                    np.testing.assert_array_equal(np.sort(one, axis=None), np.sort(other, axis=None))
                    # Not row by row either: a kernel of 5 x 5 x 3 x 8 has far more orders than rows.
                    assert one.size < 50 or (one == other).mean() < 0.2


def test_weights_come_back_when_someone_stops_halfway(ensemble: keras.Model) -> None:
    from model.networks.randomisation import randomised

    before = weights_of(ensemble)
    stages = randomised(ensemble, np.random.default_rng(0))
    next(stages)
    next(stages)
    assert changed(before, weights_of(ensemble))
    stages.close()
    assert changed(before, weights_of(ensemble)) == set()


def test_maps_are_those_of_the_weights_at_hand(ensemble: keras.Model, image: np.ndarray) -> None:
    from model.networks.architecture import CLASS_MAPS_LAYER
    from model.networks.randomisation import randomised

    forward = forward_of(ensemble)
    whole = forward(image)
    for _ in randomised(ensemble, np.random.default_rng(0)):
        logits, maps = forward(image)
        bias = ensemble.get_layer(CLASS_MAPS_LAYER).get_weights()[1]
        np.testing.assert_allclose(maps.mean(axis=(0, 1)) + bias, logits, rtol=1e-3, atol=1e-4)
        assert np.abs(logits - whole[0]).max() > 1e-3
    np.testing.assert_array_equal(forward(image)[0], whole[0])


def test_every_stage_of_every_image_is_compared_by_a_draw_of_its_own(ensemble: keras.Model, image: np.ndarray) -> None:
    from model.inference.calibration import Calibration
    from model.networks.randomisation import STAGES

    artifact, forward = artifact_with(Calibration(1.0, (0.0,) * 7, "nobody", (1 / 7,) * 7)), forward_of(ensemble)

    def of_image(number: int) -> list[RandomisedMap]:
        return list(randomised_maps(ensemble, forward, image, StudyImage("I", f"L{number}", 0, number), artifact))

    first, again, other = of_image(0), of_image(0), of_image(1)
    alike = [[one.similarity.absolute_rank_correlation for one in maps] for maps in (first, again, other)]
    assert alike[0] == alike[1] and alike[0] != alike[2]
    result = summarise_randomised([*first, *other])
    assert result.images == 2
    assert [(stage.part, stage.backbone_share) for stage in result.stages] == [
        (stage.part, stage.backbone_share) for stage in STAGES
    ]
    mean = np.mean([one[0].similarity.absolute_rank_correlation for one in (first, other)])
    assert result.stages[0].absolute_rank_correlation.value == pytest.approx(mean)


def test_empty_maps_are_counted_and_left_out_of_what_cannot_be_said() -> None:
    true, against = np.array([[1.0, 2.0, -1.0]], np.float32), np.array([[-3.0, -1.0, -2.0]], np.float32)
    alike = similarity_of(true, against)
    # What is shown of the second is empty. Unsigned, 1, 2, 1 and 3, 1, 2 have the ranks 1.5, 3, 1.5 and 3, 1, 2.
    assert np.isnan(alike.rank_correlation) and np.isnan(alike.correlation)
    assert alike.absolute_rank_correlation == pytest.approx(-1.5 / np.sqrt(1.5 * 2))
    maps = [RandomisedMap(f"L{number}", "output", 0.0, number > 0, alike) for number in range(2)]
    (stage,) = summarise_randomised(maps).stages
    assert stage.without_evidence == 1 and np.isnan(stage.correlation.value)
