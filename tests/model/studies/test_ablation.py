"""Effects of variants on made-up held-out answers, counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data.tasks.skin import SKIN

# TensorFlow, Keras and their dependencies warn of their own deprecations; ours would still fail elsewhere.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]

LESIONS = 6  # a class


def held_out(seed: int, strength: float):  # type: ignore[no-untyped-def]  # imported late: it loads TensorFlow
    from model.studies.ablation import VIEWS, HeldOut

    dx = np.repeat(np.arange(len(SKIN.codes)), LESIONS)
    rows = pd.DataFrame(
        {
            "image_id": [f"I{number}" for number in range(len(dx))],
            "lesion_id": [f"L{number}" for number in range(len(dx))],
            "dx": [SKIN.codes[index] for index in dx],
        }
    )
    logits = np.random.default_rng(seed).normal(0, 1, (len(VIEWS), len(dx), 7))
    logits[:, np.arange(len(dx)), dx] += strength
    share = np.full(7, 1 / 7)
    return HeldOut(SKIN, rows, logits, logits[0], share, share)


def test_variant_equal_to_the_base_gains_nothing_and_a_better_one_gains() -> None:
    from model.studies.ablation import BASE, compare

    base = held_out(seed=0, strength=1.0)
    right = np.full((len(base.rows), 7), -5.0)
    right[np.arange(len(right)), np.repeat(np.arange(7), LESIONS)] = 5
    effects = {effect.name: effect for effect in compare([base], {"same": base.views[0], "right": right}, {})}
    assert effects["same"].balanced_accuracy == effects[BASE].balanced_accuracy
    assert (effects["same"].balanced_accuracy_gain.low, effects["same"].balanced_accuracy_gain.high) == (0, 0)
    assert effects["right"].balanced_accuracy.value == 1
    expected = 1 - effects[BASE].balanced_accuracy.value
    assert effects["right"].balanced_accuracy_gain.value == pytest.approx(expected)
    assert effects["right"].balanced_accuracy_gain.low > 0


def test_another_run_is_compared_with_the_one_of_its_fold() -> None:
    from dataclasses import replace

    from model.studies.ablation import compare_on_own_fold

    first, second = held_out(seed=1, strength=1.0), held_out(seed=2, strength=1.0)
    second = replace(second, rows=second.rows.assign(image_id=[f"J{i}" for i in range(len(second.rows))]))
    better = replace(held_out(seed=3, strength=8.0), rows=second.rows)
    effect = compare_on_own_fold([first, second], better, "stronger")
    assert effect.images == len(second.rows)
    assert effect.balanced_accuracy_gain.value > 0.2
    other = replace(better, rows=second.rows.assign(image_id=[f"K{i}" for i in range(len(second.rows))]))
    with pytest.raises(ValueError, match="held out the same fold"):
        compare_on_own_fold([first, second], other, "stronger")


def test_table_is_markdown_with_signed_gains() -> None:
    from model.measures.intervals import Estimate
    from model.studies.ablation import Effect, format_table

    one = Estimate(0.5, 0.4, 0.6)
    text = format_table([Effect("flips", 1234, one, Estimate(0.01, -0.02, 0.04), one, Estimate(0.0, -0.01, 0.01))])
    assert "| flips | 1,234 | 0.500 (0.400 to 0.600) | +0.010 (-0.020 to +0.040) | 0.500" in text
