"""Train the dense models of one batch."""

from mia_pruning.stages.fitting import batch_of, use_threads
from mia_pruning.stages.job import job
from mia_pruning.stages.train import train_models

with job(snakemake) as record:
    use_threads(snakemake.threads)
    train_models(batch_of(snakemake, "train", record), snakemake.output.history)
