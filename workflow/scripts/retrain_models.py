"""Retrain the pruned models of one batch with their masks held."""

from mia_pruning.stages.fitting import batch_of, use_threads
from mia_pruning.stages.job import job
from mia_pruning.stages.prune import retrain_models

with job(snakemake) as record:
    use_threads(snakemake.threads)
    batch = batch_of(snakemake, "retrain", record)
    retrain_models(batch, pruned=snakemake.input.pruned, history=snakemake.output.history)
