"""Record the answers of a defence's models to one probe."""

from mia_pruning.stages.fitting import use_threads
from mia_pruning.stages.job import job
from mia_pruning.stages.probe import probe_models

with job(snakemake) as record:
    use_threads(snakemake.threads)
    probe_models(
        snakemake.input.dataset,
        snakemake.input.split,
        list(snakemake.input.models),
        snakemake.params.settings,
        snakemake.params.probe,
        snakemake.params.seed,
        snakemake.output.answers,
        record,
    )
