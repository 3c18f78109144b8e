"""What a network under training says of images, and how good it is."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from model.images.rejection import RgbImage
from model.measures.metrics import accuracy, balanced_accuracy, macro_auroc, softmax
from model.measures.ordinal import nearest_grade, quadratic_weighted_kappa
from model.networks.architecture import LOGITS_LAYER


def validate(
    network: keras.Model, images: RgbImage, class_indices: NDArray[np.int64], is_ordinal: bool = False
) -> dict[str, float]:
    """Loss, accuracy, macro AUROC and balanced accuracy (prior-corrected decisions are `model.evaluate`'s business).

    Of grades also the quadratic weighted kappa of the grade nearest to the expected one.
    """
    logits = predict_logits(network, images)
    probabilities = softmax(logits)
    likelihood = probabilities[np.arange(len(logits)), class_indices]
    nearest = nearest_grade(probabilities)
    classes = logits.shape[1]
    of_grades = {"val_weighted_kappa": quadratic_weighted_kappa(class_indices, nearest, classes)} if is_ordinal else {}
    return {
        "val_loss": float(-np.log(np.maximum(likelihood, 1e-12)).mean()),
        "val_accuracy": accuracy(class_indices, logits.argmax(axis=1)),
        "val_auc": macro_auroc(class_indices, probabilities),
        "val_balanced_accuracy": balanced_accuracy(class_indices, logits.argmax(axis=1), classes),
        **of_grades,
    }


def predict_logits(network: keras.Model, images: RgbImage, batch_size: int = 64) -> NDArray[np.float64]:
    """(N, C) float64 logits of (N, H, W, 3) uint8 images."""
    batches = [images[start : start + batch_size].astype(np.float32) for start in range(0, len(images), batch_size)]
    return np.concatenate([network.predict_on_batch(batch)[LOGITS_LAYER] for batch in batches]).astype(np.float64)
