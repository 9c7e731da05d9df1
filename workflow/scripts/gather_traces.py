"""Join the losses that were recorded along the training of a defence's models."""

from mia_pruning.stages.job import job
from mia_pruning.stages.trace import gather_traces

with job(snakemake) as record:
    phases = [list(snakemake.input.get(phase, [])) for phase in ("trained", "pruned", "retrained")]
    gather_traces(phases, snakemake.output.answers, record)
