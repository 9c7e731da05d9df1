"""Bring the dense models of one batch into a sparsity set."""

from mia_pruning.stages.fitting import batch_of, use_threads
from mia_pruning.stages.job import job
from mia_pruning.stages.prune import prune_models

with job(snakemake) as record:
    use_threads(snakemake.threads)
    prune_models(
        batch_of(snakemake, "prune", record),
        dense=snakemake.input.dense,
        history=snakemake.output.history,
        residuals=snakemake.output.residuals,
        projection=snakemake.output.projection,
    )
