"""A thousand damaged images of fifty whole ones; `python -m tests.support.files.damage` does the same at full size."""

from __future__ import annotations

import numpy as np

from model.analysis.analyzer import Analyzer
from model.images.decoding import decode_image
from model.inference.artifact import DEFAULT_ARTIFACT, load_artifact
from model.inference.runtimes import LiteRTClassifier
from tests.support.files.damage import ask, damaged
from tests.support.files.seeds import seeds

MOST_MEMORY = 512 * 2**20


def test_there_are_fifty_whole_images_of_every_kind() -> None:
    whole = seeds()
    assert len(whole) == len(set(whole)) == 50
    for content in whole:
        assert decode_image(content).dtype == np.uint8


def test_damage_is_the_same_each_time_and_differs_by_its_seed() -> None:
    assert list(damaged(60, 1)) == list(damaged(60, 1)) != list(damaged(60, 2))


def test_every_damaged_image_is_answered_or_refused_by_name() -> None:
    outcomes = ask(Analyzer(LiteRTClassifier(load_artifact(DEFAULT_ARTIFACT))), 1000, seed=1)
    assert outcomes.unforeseen == {}
    assert sum(outcomes.counts.values()) == 1000
    # The damage leaves some whole, makes some unreadable, and breaks others inside.
    assert min(outcomes.counts[name] for name in ("damaged", "not_an_image")) > 20
    assert sum(outcomes.counts.values()) - outcomes.counts["damaged"] - outcomes.counts["not_an_image"] > 100
    assert outcomes.memory < MOST_MEMORY
