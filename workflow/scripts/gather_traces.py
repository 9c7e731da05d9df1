"""Join the losses that were recorded along the training of a defence's models."""

from mia_pruning.stages.job import job
from mia_pruning.stages.trace import gather_traces

with job(snakemake) as record:
    gather_traces(list(snakemake.input), snakemake.output.answers, record)
