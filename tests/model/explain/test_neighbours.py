"""Similar cases: distances, order and shares worked out by hand on four directions of a plane."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.tasks.skin import SKIN
from model.explain.neighbours import Neighbour, NeighbourIndex, fit_index, load_index, majority
from model.inference.artifact import ArtifactMismatch
from tests.support.tiny_dataset import EMBEDDINGS, QUERY, four_directions, rows_of


@pytest.fixture
def rows() -> pd.DataFrame:
    return four_directions()


@pytest.fixture
def index(rows: pd.DataFrame) -> NeighbourIndex:
    return fit_index(EMBEDDINGS, rows, 2, SKIN.codes)


def lesions_of(neighbours: tuple[Neighbour, ...]) -> list[str]:
    return [neighbour.lesion_id for neighbour in neighbours]


def neighbour(dx: str) -> Neighbour:
    return Neighbour("I", "L", dx, "histo", None, "male", "back", 0.0)


def test_distances_by_hand(index: NeighbourIndex) -> None:
    neighbours = index.nearest(QUERY, 4)
    assert lesions_of(neighbours) == ["east", "north", "south", "west"]
    assert [each.distance for each in neighbours] == pytest.approx([0.2, 0.4, 1.6, 1.8], abs=1e-3)


def test_what_is_known_of_a_neighbour(index: NeighbourIndex) -> None:
    (nearest,) = index.nearest(np.array([0.1, 7, 5]), 1)
    assert nearest == Neighbour("I1", "north", "mel", "histo", 10.0, "female", "back", nearest.distance)
    with pytest.raises(FrozenInstanceError):
        nearest.dx = "nv"  # type: ignore[misc]


def test_missing_age_is_none_and_unknown_stays(tiny_metadata: pd.DataFrame) -> None:
    # HAM_2 has no age, and neither its sex nor its site is known.
    embeddings = np.eye(10, dtype=np.float32)
    (nearest,) = fit_index(embeddings, tiny_metadata, 10, SKIN.codes).nearest(embeddings[2], 1)
    assert nearest == Neighbour("ISIC_03", "HAM_2", "nv", "follow_up", None, "unknown", "unknown", nearest.distance)
    assert nearest.distance == pytest.approx(0, abs=1e-3)


def test_the_widest_direction_is_kept(index: NeighbourIndex, rows: pd.DataFrame) -> None:
    # East and west spread twice as far as north and south, and the third value not at all.
    np.testing.assert_allclose(np.abs(index.components), [[1, 0], [0, 1], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(index.mean, [0, 0, 5])
    neighbours = fit_index(EMBEDDINGS, rows, 1, SKIN.codes).nearest(QUERY, 4)
    # North and south lie at the mean of what is left: no direction, in the order of the index.
    assert lesions_of(neighbours) == ["east", "north", "south", "west"]
    assert [each.distance for each in neighbours] == pytest.approx([0, 1, 1, 2], abs=1e-3)


def test_the_length_of_an_embedding_does_not_count(index: NeighbourIndex) -> None:
    near = [each.distance for each in index.nearest(np.array([0.4, 0.3, 5]), 4)]
    assert near == pytest.approx([each.distance for each in index.nearest(QUERY, 4)], abs=1e-6)


def test_the_mean_is_as_far_from_all(index: NeighbourIndex) -> None:
    neighbours = index.nearest(np.array([0.0, 0.0, 5.0]), 4)
    assert [each.distance for each in neighbours] == [1, 1, 1, 1]
    assert lesions_of(neighbours) == ["east", "north", "west", "south"]


def test_a_lesion_comes_once_by_its_nearest_image() -> None:
    # Both images of `two` are nearer than `one`; the second is the nearer of them.
    embeddings = np.array([[0, 1], [3, 3], [4, 3], [-7, -7]], dtype=np.float32)
    index = fit_index(
        embeddings, rows_of(("one", "nv"), ("two", "mel"), ("two", "mel"), ("three", "nv")), 2, SKIN.codes
    )
    neighbours = index.nearest(embeddings[2], 4)
    assert [(each.lesion_id, each.image_id) for each in neighbours] == [("two", "I2"), ("one", "I0"), ("three", "I3")]
    assert lesions_of(index.nearest(embeddings[2], 2)) == ["two", "one"]


def test_the_excluded_lesion_never_comes(index: NeighbourIndex) -> None:
    assert lesions_of(index.nearest(QUERY, 4, excluded_lesion="east")) == ["north", "south", "west"]
    assert lesions_of(index.nearest(QUERY, 1, excluded_lesion="east")) == ["north"]
    assert lesions_of(index.nearest(QUERY, 1, excluded_lesion="elsewhere")) == ["east"]


def test_what_is_like_an_image_of_the_index_is_never_its_own_lesion(index: NeighbourIndex) -> None:
    found = index.like("I0", 3)
    assert lesions_of(found)[-1] == "west" and set(lesions_of(found)) == {"north", "south", "west"}
    assert [each.distance for each in found] == pytest.approx([1, 1, 2], abs=1e-3)
    assert index.like("I0", 3) == index.nearest(EMBEDDINGS[0], 3, excluded_lesion="east")
    assert index.like("elsewhere", 3) == ()


def test_fewer_images_than_dimensions(rows: pd.DataFrame) -> None:
    # Four images vary in at most three directions, whatever was asked for.
    index = fit_index(np.hstack([EMBEDDINGS, np.zeros((4, 3), dtype=np.float32)]), rows, 64, SKIN.codes)
    assert (index.components.shape, index.vectors.shape) == ((6, 3), (4, 3))
    assert fit_index(EMBEDDINGS[:, :2], rows, 64, SKIN.codes).vectors.shape == (4, 2)


def test_fit_leaves_its_arguments_alone(rows: pd.DataFrame) -> None:
    embeddings, before = EMBEDDINGS.copy(), rows.copy()
    index = fit_index(embeddings, rows, 2, SKIN.codes)
    query = QUERY.copy()
    index.nearest(query, 2)
    assert np.array_equal(embeddings, EMBEDDINGS)
    assert np.array_equal(query, QUERY)
    pd.testing.assert_frame_equal(rows, before)


def test_an_index_answers_the_same_after_saving(tmp_path: Path, tiny_metadata: pd.DataFrame) -> None:
    metadata = tiny_metadata.assign(lesion_id=tiny_metadata["lesion_id"] + "ü")
    embeddings = np.random.default_rng(1).normal(size=(10, 20)).astype(np.float32)
    index = fit_index(embeddings, metadata, 6, SKIN.codes)
    index.save(tmp_path / "neighbours.npz")
    loaded = load_index(tmp_path / "neighbours.npz", SKIN.codes)
    assert loaded.codes == index.codes
    for name in vars(index).keys() - {"codes"}:
        values = getattr(index, name)
        assert getattr(loaded, name).dtype.kind == values.dtype.kind
        np.testing.assert_array_equal(getattr(loaded, name), values)
    for embedding in embeddings:
        assert loaded.nearest(embedding, 8) == index.nearest(embedding, 8)


def test_float16_moves_distances_by_less_than_a_thousandth(tiny_metadata: pd.DataFrame) -> None:
    embeddings = np.random.default_rng(2).normal(size=(10, 6)).astype(np.float32)
    # All six components: a rotation, which changes no angle.
    centred = embeddings.astype(np.float64) - embeddings.mean(axis=0, dtype=np.float64)
    directions = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    index = fit_index(embeddings, tiny_metadata.assign(lesion_id=[f"L{i}" for i in range(10)]), 6, SKIN.codes)
    for i, embedding in enumerate(embeddings):
        received = {each.image_id: each.distance for each in index.nearest(embedding, 10)}
        expected = dict(zip(tiny_metadata["image_id"], 1 - directions @ directions[i], strict=True))
        assert received == pytest.approx(expected, abs=1e-3)


def test_ham10000_and_five_networks_fit_into_5_mb(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    images, values, dimensions = 8500, 6400, 64
    numbers = np.arange(images)
    draw = generator.integers
    index = NeighbourIndex(
        mean=generator.random(values, dtype=np.float32),
        components=generator.normal(0, values**-0.5, (values, dimensions)).astype(np.float32),
        vectors=generator.normal(0, dimensions**-0.5, (images, dimensions)).astype(np.float32),
        image_id=np.array([f"ISIC_{number:07d}" for number in generator.permutation(numbers)]),
        lesion_id=np.array([f"HAM_{number:07d}" for number in generator.permutation(numbers)]),
        dx=np.array(SKIN.codes)[draw(7, size=images)],
        dx_type=np.array(["histo", "follow_up", "consensus", "confocal"])[draw(4, size=images)],
        age=(5 * draw(18, size=images)).astype(np.float16),
        sex=np.array(["female", "male", "unknown"])[draw(3, size=images)],
        localization=np.array([f"site {number}" for number in range(15)])[draw(15, size=images)],
        codes=SKIN.codes,
    )
    index.save(tmp_path / "neighbours.npz")
    assert (tmp_path / "neighbours.npz").stat().st_size < 5_000_000


def test_more_than_256_sites_are_kept(tmp_path: Path) -> None:
    rows = rows_of(*[(f"L{i}", "nv") for i in range(300)])
    rows["localization"] = [f"site {i}" for i in range(300)]
    index = fit_index(np.random.default_rng(1).normal(size=(300, 3)), rows, 3, SKIN.codes)
    index.save(tmp_path / "neighbours.npz")
    assert load_index(tmp_path / "neighbours.npz", SKIN.codes).localization.tolist() == rows["localization"].tolist()


@pytest.mark.parametrize(
    ("content", "cause"),
    [(None, "FileNotFoundError"), (b"", "EOFError"), (b"PK\x03\x04 no archive", "BadZipFile"), (b"text", "ValueError")],
)
def test_a_file_that_is_no_index_is_refused(tmp_path: Path, content: bytes | None, cause: str) -> None:
    path = tmp_path / "neighbours.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactMismatch, match=rf"could not read it \({cause}: .*; restore the file or export"):
        load_index(path, SKIN.codes)


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "neighbours.npy"
    np.save(path, np.zeros(3))
    with pytest.raises(ArtifactMismatch, match="expected an index of similar cases"):
        load_index(path, SKIN.codes)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("vectors", None, "KeyError"),
        ("vectors", np.zeros((3, 2)), r"expected lesion_id of shape \(3,\), received \(4,\)"),
        ("vectors", np.full((4, 2), np.nan), "expected finite numbers as vectors"),
        ("vectors", np.zeros(4), "ValueError"),
        ("components", np.zeros((3, 5)), r"expected components of shape \(3, 2\), received \(3, 5\)"),
        ("mean", np.zeros(2), r"expected components of shape \(2, 2\), received \(3, 2\)"),
        ("mean", np.array([0, 0, np.inf]), "expected finite numbers as mean"),
        ("age", np.zeros(5), r"expected age of shape \(4,\), received \(5,\)"),
        ("sex_codes", np.array([0, 0, 0, 1]), "IndexError"),
        ("dx_table", np.array(["bcc", "melanoma", "nv"]), "expected dx in akiec, .*, received melanoma"),
        ("lesion_id", np.array([b"east"] * 4), "expected images of at least 2 lesions"),
        ("dx_table", np.array(["bcc", None, "nv"], dtype=object), "allow_pickle=False"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    tmp_path: Path, index: NeighbourIndex, name: str, value: np.ndarray | None, message: str
) -> None:
    path = tmp_path / "neighbours.npz"
    index.save(path)
    with np.load(path) as stored:
        arrays = dict(stored)
    del arrays[name]
    np.savez(path, **arrays, **({} if value is None else {name: value}))
    with pytest.raises(ArtifactMismatch, match=message):
        load_index(path, SKIN.codes)


@pytest.mark.parametrize(
    ("embedding", "count", "message"),
    [
        (np.zeros(2), 1, r"expected an embedding of shape \(3,\), received \(2,\); use the index that was exported"),
        (np.zeros((1, 3)), 1, r"received \(1, 3\)"),
        (np.array([0, np.nan, 0]), 1, "expected finite numbers as embedding"),
        (QUERY, 0, "expected at least 1 neighbour, received 0"),
    ],
)
def test_questions_without_an_answer_are_refused(
    index: NeighbourIndex, embedding: np.ndarray, count: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        index.nearest(embedding, count)


@pytest.mark.parametrize(
    ("embeddings", "dimensions", "message"),
    [
        (EMBEDDINGS[:3], 2, r"expected embeddings of shape \(4, K\), one a row, received \(3, 3\)"),
        (EMBEDDINGS[:, 0], 2, r"received \(4,\)"),
        (EMBEDDINGS, 0, "expected at least 1 dimension, received 0"),
        (np.where(EMBEDDINGS == 1, np.nan, EMBEDDINGS), 2, "expected finite numbers as embeddings"),
    ],
)
def test_embeddings_that_cannot_be_fitted_are_refused(
    rows: pd.DataFrame, embeddings: np.ndarray, dimensions: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_index(embeddings, rows, dimensions, SKIN.codes)


def test_rows_that_cannot_be_fitted_are_refused(rows: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="missing sex, localization"):
        fit_index(EMBEDDINGS, rows.drop(columns=["sex", "localization"]), 2, SKIN.codes)
    with pytest.raises(ValueError, match="expected a value in sex of every row, received nothing"):
        fit_index(EMBEDDINGS, rows.assign(sex=["male", None, "male", "male"]), 2, SKIN.codes)
    with pytest.raises(ValueError, match="received melanoma"):
        fit_index(EMBEDDINGS, rows.assign(dx=["nv", "melanoma", "nv", "nv"]), 2, SKIN.codes)
    with pytest.raises(ValueError, match="expected images of at least 2 lesions, received 1"):
        fit_index(EMBEDDINGS, rows.assign(lesion_id="east"), 2, SKIN.codes)
    with pytest.raises(ValueError, match="expected images of at least 2 lesions, received 1"):
        fit_index(EMBEDDINGS[:1], rows[:1], 2, SKIN.codes)
    with pytest.raises(ValueError, match="expected images of at least 2 lesions, received 0"):
        fit_index(EMBEDDINGS[:0], rows[:0], 2, SKIN.codes)


def test_majority_by_hand() -> None:
    assert majority([neighbour(dx) for dx in ("mel", "nv", "nv")]) == ("nv", pytest.approx(2 / 3))
    assert majority([neighbour("df")]) == ("df", 1.0)
    # Two each: the nearest decides, also where a nearer one stands alone.
    assert majority([neighbour(dx) for dx in ("mel", "nv", "nv", "mel")]) == ("mel", 0.5)
    assert majority([neighbour(dx) for dx in ("bcc", "nv", "mel", "mel", "nv")]) == ("nv", 0.4)
    with pytest.raises(ValueError, match="expected at least 1 neighbour, received none"):
        majority([])
