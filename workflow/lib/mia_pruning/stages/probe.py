"""Stage: ask every model for a signal that an attack needs besides its logits."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from mia_pruning import storage
from mia_pruning.probes.asked import Asked
from mia_pruning.registry import find, options_of
from mia_pruning.seeds import stream, torch_seed
from mia_pruning.stages.job import logger
from mia_pruning.stages.networks import build, read_weights, resident
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.training.data import device


def probe_models(
    dataset: str,
    split: str,
    models: list[str],
    network: Mapping[str, Any],
    probe: Mapping[str, Any],
    seed: int,
    output: str,
    record: dict[str, Any],
) -> None:
    """Write the probe's answers, (n_models, n_pool, ...) float32.

    Every model is asked with the same random draws.

    Raises:
        ArithmeticError: The probe does not answer every example of the pool, or an answer is not
            finite.
    """
    packed, split_ = read_packed(dataset), read_split(split)
    plug_in = find("probe", probe["use"], "probe.use")
    function, options = plug_in.load(), options_of(plug_in, dict(probe))
    pool, reference = resident(packed, split_.pool), resident(packed, split_.reference)
    weights = read_weights(*models)

    def untrained() -> torch.nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(seed, "probe", probe["use"]))
            return build(network, packed.image_shape, packed.n_classes)

    model, answers = untrained().to(device()), []
    for row in sorted(weights):
        model.load_state_dict(weights[row])
        asked = Asked(model.eval(), pool, reference, untrained, stream(seed, "probe", probe["use"]))
        answers.append(np.asarray(function(asked, **options), dtype=np.float32))
        if len(answers[-1]) != len(pool) or not np.isfinite(answers[-1]).all():
            raise ArithmeticError(
                f"the probe {probe['use']} on model {row}: it must answer each of {len(pool)} examples, and gave "
                f"{answers[-1].shape}, {int((~np.isfinite(answers[-1])).sum())} of them not finite"
            )
    logger.info("%s: %d models on %d examples", probe["use"], len(weights), len(pool))
    storage.write_array(output, np.stack(answers))
    storage.write_json(
        output.removesuffix(".npy") + ".json",
        {"shape": list(np.shape(answers)), "provenance": record},
    )
