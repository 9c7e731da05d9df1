"""Record the logits of every model of a defence on every example."""

from mia_pruning.stages.fitting import use_threads
from mia_pruning.stages.job import job
from mia_pruning.stages.query import query_models

with job(snakemake) as record:
    use_threads(snakemake.threads)
    query_models(
        snakemake.input.dataset,
        snakemake.input.split,
        list(snakemake.input.models),
        snakemake.params.settings,
        snakemake.output.signals,
        record,
    )
