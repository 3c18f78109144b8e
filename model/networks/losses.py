"""The loss on the diagnosis, which respects what a label does not say, and those that teach where the lesion is.

The latter two take the lesion masks that HAM10000's authors published, brought to the network's positions. They shape
the heatmaps: without them, maps of a network trained on diagnoses alone agree with the lesion worse than a spot in the
middle of the image does. An empty mask says that the lesion's place is not known, and costs nothing: every image shows
a lesion, and those of extra sets come without masks.
"""

from __future__ import annotations

import keras
from keras import ops

# Cells added to both sides of a Dice ratio, so that an image without lesion does not divide by zero.
SMOOTH = 1.0


@keras.saving.register_keras_serializable("lesionlens")
class ClassLoss(keras.losses.Loss):
    """Cross-entropy of the labelled class among the classes that the label tells it from.

    Takes (N, C) float32 labels, 1 for the class, 0 for those it is told from and -1 for those it is not, and (N, C)
    float32 logits; gives (N,) float32 >= 0. What a label leaves open is neither rewarded nor punished. With every class
    told apart it is the categorical cross-entropy with `label_smoothing`.

    Of grades, least first, a `grade_weight` above 0 adds that many times the squared distance from the labelled grade
    that is expected under the probabilities, as a share of the largest: a far miss costs more than a near one.

    Source:
        de la Torre, Puig, Valls, Pattern Recognition Letters 2018;105:144, doi:10.1016/j.patrec.2017.05.018 (weighted
        kappa as a loss, of which this is the numerator).
    """

    def __init__(
        self,
        label_smoothing: float,
        grade_weight: float = 0.0,
        name: str = "class_loss",
        reduction: str = "sum_over_batch_size",
        **options: object,
    ) -> None:
        super().__init__(name=name, reduction=reduction, **options)
        self.label_smoothing = label_smoothing
        self.grade_weight = grade_weight

    def call(self, labels: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        is_told = ops.cast(labels >= 0, logits.dtype)
        # Far below any other logit, yet finite, so that 0 times its log probability is 0.
        log_probabilities = ops.log_softmax(logits + (is_told - 1) * 1e4, axis=-1)
        shares = is_told / ops.sum(is_told, axis=-1, keepdims=True)
        targets = (1 - self.label_smoothing) * ops.relu(labels) + self.label_smoothing * shares
        cross_entropy = -ops.sum(targets * log_probabilities * is_told, axis=-1)
        if not self.grade_weight:
            return cross_entropy
        return cross_entropy + self.grade_weight * _squared_distance(ops.relu(labels), ops.exp(log_probabilities))

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "label_smoothing": self.label_smoothing, "grade_weight": self.grade_weight}


@keras.saving.register_keras_serializable("lesionlens")
class LabelAuroc(keras.metrics.AUC):
    """Mean area under the ROC curves of labels as `ClassLoss` takes them; what one leaves open counts as not the class.

    Takes logits, which only their differences give a meaning: taken one by one, all of an image may lie where a sigmoid
    is 1, and no threshold tells them apart.
    """

    def __init__(self, multi_label: bool = True, name: str = "auc", **options: object) -> None:
        super().__init__(multi_label=multi_label, name=name, **options)

    def update_state(
        self, labels: keras.KerasTensor, logits: keras.KerasTensor, sample_weight: keras.KerasTensor | None = None
    ) -> None:
        super().update_state(ops.relu(labels), ops.softmax(logits), sample_weight)


@keras.saving.register_keras_serializable("lesionlens")
def lesion_loss(lesion: keras.KerasTensor, predicted: keras.KerasTensor) -> keras.KerasTensor:
    """Cross-entropy of each position plus 1 - Dice of the image.

    Args:
        lesion: (N, h, w, 1) float32 in [0, 1], the share of each cell inside the mask.
        predicted: (N, h, w, 1) float32 in [0, 1].

    Returns:
        (N,) float32 >= 0; 0 for an image with an empty mask.

    Source:
        Milletari, Navab, Ahmadi, 3DV 2016, arXiv:1606.04797 (Dice loss).
    """
    cross_entropy = ops.mean(ops.binary_crossentropy(lesion, predicted), axis=(1, 2, 3))
    has_mask = ops.cast(ops.max(lesion, axis=(1, 2, 3)) > 0, predicted.dtype)
    return has_mask * (cross_entropy + 1 - _dice(lesion, predicted))


@keras.saving.register_keras_serializable("lesionlens")
def class_map_loss(lesion_of_class: keras.KerasTensor, class_maps: keras.KerasTensor) -> keras.KerasTensor:
    """1 - Dice of the lesion and the true class's map, scaled by its maximum.

    Args:
        lesion_of_class: (N, h, w, 7) float32 in [0, 1]: the lesion in the channel of the true class, else 0.
        class_maps: (N, h, w, 7) float32, what each position adds to each logit.

    Returns:
        (N,) float32 in [0, 1]; 0 for an image with an empty mask.
    """
    is_true_class = ops.cast(ops.max(lesion_of_class, axis=(1, 2), keepdims=True) > 0, class_maps.dtype)
    # softplus instead of the heatmap's relu: a map that is negative everywhere must still get a gradient.
    positive = ops.sum(ops.softplus(class_maps) * is_true_class, axis=-1, keepdims=True)
    peak = ops.stop_gradient(ops.max(positive, axis=(1, 2, 3), keepdims=True))
    lesion = ops.max(lesion_of_class, axis=-1, keepdims=True)
    has_lesion = ops.max(is_true_class, axis=(1, 2, 3))
    return has_lesion * (1 - _dice(lesion, positive / (peak + keras.config.epsilon())))


def _squared_distance(labels: keras.KerasTensor, probabilities: keras.KerasTensor) -> keras.KerasTensor:
    """(N,) expected squared distance from the labelled grade, 1 for certainty of the furthest grade."""
    grades = ops.arange(labels.shape[-1], dtype=probabilities.dtype)
    labelled = ops.sum(labels * grades, axis=-1, keepdims=True)
    return ops.sum(probabilities * (grades - labelled) ** 2, axis=-1) / (labels.shape[-1] - 1) ** 2


def _dice(first: keras.KerasTensor, second: keras.KerasTensor) -> keras.KerasTensor:
    axes = (1, 2, 3)
    overlap = ops.sum(first * second, axis=axes)
    return (2 * overlap + SMOOTH) / (ops.sum(first, axis=axes) + ops.sum(second, axis=axes) + SMOOTH)
