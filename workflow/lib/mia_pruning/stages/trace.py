"""Stage: join the losses that jobs recorded while they trained, pruned and retrained."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mia_pruning import storage
from mia_pruning.stages.job import logger


def gather_traces(phases: Sequence[list[str]], output: str, record: dict[str, Any]) -> None:
    """Write the losses of all models along all phases, (n_models, n_pool, n_recorded) float16.

    phases: the files of all batches, phases in order of time. A file holds (batch models, n_pool,
    n_recorded). A network that is pruned untrained has no files of dense training.
    """
    joined = [np.concatenate(list(map(storage.read_array, files))) for files in phases if files]
    traces = np.concatenate(joined, axis=2)
    logger.info("%d models, %d examples at the ends of %d epochs", *traces.shape)
    storage.write_array(output, traces)
    description = {"shape": list(traces.shape), "provenance": record}
    storage.write_json(output.removesuffix(".npy") + ".json", description)
