"""What a classifier answers, whatever runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from data.tasks.task import Task
from model.images.rejection import RgbImage
from model.inference.artifact import Artifact
from model.inference.calibration import decide
from model.inference.clinical import GIVEN, NO_FACTS, NO_TERMS, PatientFacts
from model.measures.metrics import positive_probability


@dataclass(frozen=True)
class NetworkOutput:
    """One forward pass on one image.

    Attributes:
        logits: (C,) float32 in class order: the mean of the members'.
        member_logits: (M, C) float32, one row a network of the ensemble.
        embedding: (K,) float32, the pooled last activations of all members.
        texture: (T,) float32, channel statistics from the middle of the first member, for the out-of-distribution gate.
        maps: (h, w, C) float32, class-activation maps, signed: what each position adds to the logit or takes from it.
        lesion: (h, w) float32 in [0, 1], where the networks see the lesion; None where they were not taught to find it.
    """

    logits: NDArray[np.float32]
    member_logits: NDArray[np.float32]
    embedding: NDArray[np.float32]
    texture: NDArray[np.float32]
    maps: NDArray[np.float32]
    lesion: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Prediction:
    """Calibrated probabilities of one image and where they come from.

    Attributes:
        task: what the classes are.
        probabilities: (C,) float64 in class order, sum 1, calibrated for `population`.
        dx: code of the class that stands out (`model.inference.calibration.decide`): of names, the one whose
            probability is highest against its share of the population, which is not always the most likely one; of
            grades, the one nearest to the expected grade.
        p_positive: sum of the probabilities of the question's positive classes (malignant), in [0, 1].
        conformal_set: the classes of the prediction set at the artifact's level, the most probable first; where the
            image is flagged, those that flagged it are among them (`model.inference.conformal.ConformalSets`).
        member_p_positive: (M,) float64, the same of each network of the ensemble: how far they agree.
        population: whose class shares the probabilities hold for, and which facts about the patient they take into
            account, in words.
        model_name, model_version, weights_sha256: the model that answered.
        facts: those facts; of a saved case's answer, only `population` says them.
    """

    task: Task
    probabilities: NDArray[np.float64]
    dx: str
    p_positive: float
    conformal_set: tuple[str, ...]
    member_p_positive: NDArray[np.float64]
    population: str
    model_name: str
    model_version: str
    weights_sha256: str
    facts: PatientFacts = NO_FACTS


class Classifier(Protocol):
    """Anything that runs the network of an artifact: LiteRT in this process, Keras, a remote endpoint."""

    artifact: Artifact

    def forward(self, network_input: RgbImage) -> NetworkOutput:
        """Run the network on one image of its input size, (height, width, 3) uint8 RGB 0-255; safe in threads."""
        ...


def predict(output: NetworkOutput, artifact: Artifact, facts: PatientFacts = NO_FACTS) -> Prediction:
    """Turn a forward pass, and what is known of the patient, into a `Prediction` by the artifact's calibration."""
    if artifact.clinical == NO_TERMS:
        facts = NO_FACTS

    def of_image(logits: NDArray[np.float32]) -> NDArray[np.float64]:
        return artifact.calibration.probabilities(logits.astype(np.float64))

    task, image_alone = artifact.task, of_image(output.logits)
    probabilities = artifact.clinical.probabilities(image_alone, facts)
    of_members = artifact.clinical.probabilities(of_image(output.member_logits), facts)
    decided = int(decide(probabilities, np.asarray(artifact.calibration.prior), task.is_ordinal))
    population = artifact.calibration.population
    return Prediction(
        task=task,
        probabilities=probabilities,
        dx=task.codes[decided],
        p_positive=float(positive_probability(probabilities, task.positives)),
        conformal_set=tuple(task.codes[index] for index in artifact.conformal.members(probabilities, image_alone)),
        member_p_positive=positive_probability(of_members, task.positives),
        population=f"{population}{GIVEN}{facts}" if str(facts) else population,
        model_name=artifact.name,
        model_version=artifact.version,
        weights_sha256=artifact.weights_sha256,
        facts=facts,
    )
