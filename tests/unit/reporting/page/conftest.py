"""Planted verdicts of one claim."""

from typing import Any

import pytest


@pytest.fixture
def verdict():
    """A function that makes a row of verdicts.csv; half of its interval is 0.01, of the corrected one 0.02."""

    def make(
        attack: str, attacker: str, value: float, said: str, corrected: str, **more: Any
    ) -> dict[str, Any]:
        about = {
            "claim": "C1",
            "experiment": "lenet5",
            "defence": "pruned",
            "reason": "",
            "metric": "attack_accuracy",
        }
        interval = {
            "value": value,
            "low": value - 0.01,
            "high": value + 0.01,
            "direction": "below",
            "threshold": 0.0,
        }
        interval |= {
            "n_intervals": 61,
            "corrected_low": value - 0.02,
            "corrected_high": value + 0.02,
        }
        named = {
            "attack": attack,
            "attacker": attacker,
            "verdict": said,
            "corrected": corrected,
            "headline": False,
        }
        outcomes = {"outcome": said, "corrected_outcome": corrected}
        sizes = {"n_targets": 8.0, "n_examples": 2800.0, "seeds": "0"}
        return {**about, "minus": "baseline", **interval, **outcomes, **sizes, **named, **more}

    return make
