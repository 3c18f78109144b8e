"""The serving network through Keras, which LiteRT's answers are compared with."""

from __future__ import annotations

import numpy as np

from model.images.rejection import RgbImage
from model.inference.artifact import Artifact
from model.inference.classifier import NetworkOutput
from model.inference.runtimes import OUTPUTS


class KerasClassifier:
    """The network of an artifact's Keras file as it is exported for serving; loads TensorFlow."""

    def __init__(self, artifact: Artifact) -> None:
        import keras

        from model.networks.architecture import build_serving_network

        network = keras.models.load_model(artifact.keras_path, compile=False)
        self._serving = build_serving_network(network, artifact.height, artifact.width)

    def forward(self, network_input: RgbImage) -> NetworkOutput:
        """The same as `LiteRTClassifier.forward`."""
        outputs = self._serving.predict_on_batch(network_input[np.newaxis].astype(np.float32))
        return NetworkOutput(**{name: np.asarray(outputs[name])[0] for name in OUTPUTS})
