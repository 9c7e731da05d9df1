"""Stage: join the losses that jobs recorded while they trained models."""

from typing import Any

import numpy as np

from mia_pruning import storage
from mia_pruning.stages.job import logger


def gather_traces(batches: list[str], output: str, record: dict[str, Any]) -> None:
    """Write the losses of all models, (n_models, n_pool, n_recorded) float16.

    batches: files in the order of the models, each (batch models, n_pool, n_recorded).
    """
    traces = np.concatenate(list(map(storage.read_array, batches)))
    logger.info(
        "losses of %d models on %d examples, recorded at the end of %d epochs", *traces.shape
    )
    storage.write_array(output, traces)
    description = {"shape": list(traces.shape), "provenance": record}
    storage.write_json(output.removesuffix(".npy") + ".json", description)
