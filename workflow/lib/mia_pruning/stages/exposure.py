"""Stage: agreement of each defence with the baseline on the examples that they expose.

It compares the evaluations of two defences.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mia_pruning import storage
from mia_pruning.metrics.exposure_correlation import Products, correlation, products
from mia_pruning.tables import EXPOSURE_CORRELATION
from mia_pruning.types import BASELINE


def write_exposure_correlations(
    output: str,
    evaluations: Mapping[str, Mapping[str, Mapping[int, str]]],
) -> None:
    """Write one row per defence, the baseline's first.

    evaluations: experiment -> defence -> seed -> file.

    A defence is compared under the seeds that it shares with the baseline. It has no row if there
    are none, or if a study has fewer than two pairs of targets.
    """
    rows = [
        {"experiment": experiment, **row}
        for experiment, by_defence in evaluations.items()
        for row in _correlation_rows(by_defence)
    ]
    storage.write_table(output, rows, [*EXPOSURE_CORRELATION])


def _correlation_rows(by_defence: Mapping[str, Mapping[int, str]]) -> Iterator[dict[str, Any]]:
    found: dict[str, dict[int, Products]] = {defence: {} for defence in by_defence}
    for seed, baseline_file in by_defence.get(BASELINE, {}).items():
        baseline = _read_ranks(baseline_file)
        for defence, by_seed in by_defence.items():
            if seed in by_seed and len(baseline) > 1:
                found[defence][seed] = products(baseline, _read_ranks(by_seed[seed]))
    for defence, of_seeds in found.items():
        if of_seeds:
            yield {
                "defence": defence,
                **vars(correlation([*of_seeds.values()])),
                "n_pairs": sum(seed.n_pairs for seed in of_seeds.values()),
                "n_examples": sum(seed.n_examples for seed in of_seeds.values()),
                "seeds": " ".join(map(str, of_seeds)),
            }


def _read_ranks(path: str) -> np.ndarray:
    return storage.read_arrays(path)["twin_ranks"].astype(np.float64)
