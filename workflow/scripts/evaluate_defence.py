"""Compute every metric of one defence, for each target and bootstrap replicate."""

from mia_pruning.stages.evaluate import evaluate_defence
from mia_pruning.stages.job import job
from mia_pruning.tables import OF_EVALUATION

with job(snakemake) as record:
    keys = [tuple(key) for key in snakemake.params.attacks]
    evaluate_defence(
        snakemake.input.dataset,
        snakemake.input.split,
        snakemake.input.signals,
        dict(zip(keys, snakemake.input[: len(keys)], strict=True)),
        menu=snakemake.params.menu,
        seed=snakemake.params.seed,
        n_replicates=snakemake.params.n_replicates,
        output=snakemake.output.evaluation,
        tables={name: snakemake.output[name] for name in OF_EVALUATION},
        record=record,
    )
