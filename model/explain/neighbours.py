"""Similar cases: the training lesions whose embedding lies nearest to an image's.

What the network finds alike need not look alike to a person, and nearest is not near: the distance says how alike. The
diagnoses of the neighbours are a second opinion by other means, not a proof.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.datasets.ham10000 import METADATA_COLUMNS
from model.inference.artifact import ArtifactMismatch
from model.measures.intervals import (
    Groups,
)
from model.measures.metrics import Array

Floats = NDArray[np.float32]
Texts = NDArray[np.str_]

# Kept as numbers into a table of what occurs: each says one of few things about thousands of images.
_CATEGORIES: tuple[str, ...] = ("dx", "dx_type", "sex", "localization")
_IDS: tuple[str, ...] = ("image_id", "lesion_id")
_FLOATS: tuple[str, ...] = ("mean", "components", "vectors")


@dataclass(frozen=True)
class Neighbour:
    """A training lesion near to an image, by that of its images which is nearest.

    Attributes:
        image_id, lesion_id, dx, dx_type, sex, localization: as in HAM10000.
        age: years, None where missing.
        distance: 0 for the same direction from the mean of the training images, 2 for the opposite one; see
            `NeighbourIndex`.
    """

    image_id: str
    lesion_id: str
    dx: str
    dx_type: str
    age: float | None
    sex: str
    localization: str
    distance: float


@dataclass(frozen=True)
class NeighbourIndex:
    """The training images' embeddings, reduced to their principal components, and what is known of each image.

    Distance is cosine distance between principal components, 1 - cos(angle), from 0 to 2: the mean embedding is the
    origin, so 1 means nothing in common. An embedding equal to the mean has no direction; its distance from all is 1.
    Float16 storage moves a distance by less than 0.001.

    Attributes:
        mean: (K,) float32, of the training images' embeddings.
        components: (K, D) float32 directions of largest variance, largest first, each of unit length.
        vectors: (N, D) float32 of unit length, the projected embeddings.
        image_id, lesion_id, dx, dx_type, sex, localization: (N,) str.
        age: (N,) float16 years, NaN where missing.
        codes: of the task's classes, in class order.

    Raises:
        ValueError: shapes that do not fit together, a number that is not finite, an unknown dx, or fewer than two
            lesions.
    """

    mean: Floats
    components: Floats
    vectors: Floats
    image_id: Texts
    lesion_id: Texts
    dx: Texts
    dx_type: Texts
    age: NDArray[np.float16]
    sex: Texts
    localization: Texts
    codes: tuple[str, ...]

    def __post_init__(self) -> None:
        images, dimensions = self.vectors.shape
        _expect_shape("components", self.components, (len(self.mean), dimensions))
        for column in METADATA_COLUMNS:
            _expect_shape(column, getattr(self, column), (images,))
        for name in _FLOATS:
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"expected finite numbers as {name}, received NaN or infinity")
        _check_lesions(self.lesion_id, self.dx, self.codes)

    def nearest(
        self, embedding: NDArray[np.floating], count: int, excluded_lesion: str | None = None
    ) -> tuple[Neighbour, ...]:
        """The lesions nearest to an image, each by its nearest image.

        Args:
            embedding: (K,) of the forward pass.
            count: how many lesions, at least 1.
            excluded_lesion: lesion_id that is left out: the image's own, where it is one of the training images.

        Returns:
            `count` neighbours, nearest first, or all lesions where there are fewer; ties in the order of the index.

        Raises:
            ValueError: an embedding of another length, or with a number that is not finite; `count` below 1.
        """
        if count < 1:
            raise ValueError(f"expected at least 1 neighbour, received {count}")
        return self._first_lesions(self._distances(embedding), count, excluded_lesion)

    def like(self, image_id: str, count: int) -> tuple[Neighbour, ...]:
        """The other lesions nearest to one of the images of the index, as `nearest`; none where it does not hold it."""
        found = np.flatnonzero(self.image_id == image_id)
        if not len(found):
            return ()
        distances = np.clip(1 - self.vectors @ self.vectors[found[0]], 0, 2)
        return self._first_lesions(distances, count, str(self.lesion_id[found[0]]))

    def _first_lesions(self, distances: Floats, count: int, excluded_lesion: str | None) -> tuple[Neighbour, ...]:
        seen = {excluded_lesion}
        neighbours: list[Neighbour] = []
        for row in np.argsort(distances, kind="stable"):
            lesion_id = str(self.lesion_id[row])
            if lesion_id in seen:
                continue
            seen.add(lesion_id)
            neighbours.append(self._neighbour(row, float(distances[row])))
            if len(neighbours) == count:
                break
        return tuple(neighbours)

    def _distances(self, embedding: NDArray[np.floating]) -> Floats:
        if embedding.shape != self.mean.shape:
            raise ValueError(
                f"expected an embedding of shape {self.mean.shape}, received {embedding.shape}; "
                "use the index that was exported with the network"
            )
        if not np.isfinite(embedding).all():
            raise ValueError("expected finite numbers as embedding, received NaN or infinity")
        direction = _unit_length((embedding.astype(np.float32) - self.mean) @ self.components)
        return np.clip(1 - self.vectors @ direction, 0, 2)

    def _neighbour(self, row: int, distance: float) -> Neighbour:
        texts = {column: str(getattr(self, column)[row]) for column in (*_IDS, *_CATEGORIES)}
        age = float(self.age[row])
        return Neighbour(**texts, age=None if np.isnan(age) else age, distance=distance)

    def save(self, path: Path) -> None:
        """Write the index as one compressed .npz; 8,500 images take about 2 MB.

        Components and vectors are written as float16, ids as bytes (UTF-8), the other facts as numbers into tables.
        """
        arrays: dict[str, NDArray] = {
            "mean": self.mean.astype(np.float32),
            "components": self.components.astype(np.float16),
            "vectors": self.vectors.astype(np.float16),
            "age": self.age.astype(np.float16),
        }
        for column in _IDS:
            arrays[column] = np.char.encode(getattr(self, column), "utf-8")
        for column in _CATEGORIES:
            table, codes = np.unique(getattr(self, column), return_inverse=True)
            arrays[f"{column}_table"] = table
            # uint8 up to 256 different values.
            arrays[f"{column}_codes"] = codes.astype(np.min_scalar_type(len(table) - 1))
        np.savez_compressed(path, allow_pickle=False, **arrays)


def load_index(path: Path, codes: tuple[str, ...]) -> NeighbourIndex:
    """Read what `NeighbourIndex.save` wrote, for the classes of these codes.

    Raises:
        ArtifactMismatch: no such file, not an index, or one whose parts do not fit together.
    """
    try:
        # Opened here, since np.load leaves the file open where it is a broken archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            fields: dict[str, Any] = {name: arrays[name].astype(np.float32) for name in _FLOATS}
            fields |= {column: np.char.decode(arrays[column], "utf-8") for column in _IDS}
            fields |= {column: arrays[f"{column}_table"][arrays[f"{column}_codes"]] for column in _CATEGORIES}
            return NeighbourIndex(**fields, age=arrays["age"].astype(np.float16), codes=codes)
    # IndexError is a number beyond its table; EOFError an empty file; TypeError a .npy, which is one array.
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, BadZipFile) as error:
        raise ArtifactMismatch(
            f"expected an index of similar cases in {path}, could not read it ({type(error).__name__}: {error}); "
            "restore the file or export the model again"
        ) from error


def fit_index(
    embeddings: NDArray[np.floating], rows: pd.DataFrame, dimensions: int, codes: tuple[str, ...]
) -> NeighbourIndex:
    """Build the index of the training images: centre, project on the principal components, scale to unit length.

    Components and vectors are rounded to float16 at once, so that an index answers the same before `save` and after
    `load_index`.

    Args:
        embeddings: (N, K) of the forward pass.
        rows: one row an image, aligned with `embeddings`; columns image_id, lesion_id, dx, dx_type, age (years, NaN
            where missing), sex, localization.
        dimensions: principal components to keep, at least 1; where there are fewer values or images, as many as these
            give (K, or N - 1).
        codes: of the task's classes, in class order.

    Raises:
        ValueError: embeddings that are no table of finite numbers or not one a row, a column missing, a value missing
            (other than age), an unknown dx, fewer than two lesions, or `dimensions` below 1.

    Source:
        Jolliffe 2002, Principal Component Analysis, doi:10.1007/b98835.
    """
    if embeddings.ndim != 2 or len(embeddings) != len(rows):
        raise ValueError(f"expected embeddings of shape ({len(rows)}, K), one a row, received {embeddings.shape}")
    if dimensions < 1:
        raise ValueError(f"expected at least 1 dimension, received {dimensions}")
    # A number that is not finite would stop the search for the components with an error that names no cause.
    if not np.isfinite(embeddings).all():
        raise ValueError("expected finite numbers as embeddings, received NaN or infinity")
    facts = _facts(rows, codes)
    mean = embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = embeddings.astype(np.float32) - mean
    components = _as_stored(_principal_components(centred, min(dimensions, len(rows) - 1)))
    return NeighbourIndex(mean, components, _as_stored(_unit_length(centred @ components)), **facts, codes=codes)


def _facts(rows: pd.DataFrame, codes: tuple[str, ...]) -> dict[str, Any]:
    missing = [column for column in METADATA_COLUMNS if column not in rows.columns]
    if missing:
        raise ValueError(f"expected columns {', '.join(METADATA_COLUMNS)}; missing {', '.join(missing)}")
    for column in (*_IDS, *_CATEGORIES):
        if rows[column].isna().any():
            raise ValueError(f"expected a value in {column} of every row, received nothing in some; complete them")
    texts = {column: rows[column].to_numpy(dtype=str) for column in (*_IDS, *_CATEGORIES)}
    _check_lesions(texts["lesion_id"], texts["dx"], codes)
    return {**texts, "age": rows["age"].to_numpy(dtype=np.float16)}


def _principal_components(centred: Floats, dimensions: int) -> Array:
    """Eigenvectors of the covariance with the largest eigenvalues, largest first, (K, D): its singular vectors."""
    covariance = (centred.T @ centred).astype(np.float64) / len(centred)
    _, eigenvectors = np.linalg.eigh(covariance)
    return eigenvectors[:, ::-1][:, :dimensions]


def _unit_length(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Vectors along the last axis scaled to length 1; a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def _as_stored(values: NDArray[np.floating]) -> Floats:
    return values.astype(np.float16).astype(np.float32)


def _check_lesions(lesion_ids: Groups, dx: Texts, codes: tuple[str, ...]) -> None:
    unknown = set(dx.tolist()) - set(codes)
    if unknown:
        raise ValueError(f"expected dx in {', '.join(codes)}, received {', '.join(sorted(unknown))}")
    lesions = len(np.unique(lesion_ids))
    # With two, something is left when the image's own lesion is left out.
    if lesions < 2:
        raise ValueError(f"expected images of at least 2 lesions, received {lesions}")


def _expect_shape(name: str, values: NDArray, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise ValueError(f"expected {name} of shape {shape}, received {values.shape}")


def majority(neighbours: Sequence[Neighbour]) -> tuple[str, float]:
    """The diagnosis most neighbours have, and the share of them in (0, 1]; on ties that of the nearest.

    Args:
        neighbours: nearest first, as `NeighbourIndex.nearest` gives them.

    Raises:
        ValueError: no neighbours.
    """
    if not neighbours:
        raise ValueError("expected at least 1 neighbour, received none")
    # Of equal counts, most_common gives the one that was met first.
    dx, count = Counter(neighbour.dx for neighbour in neighbours).most_common(1)[0]
    return dx, count / len(neighbours)
