"""Compare the answers of pruned and retrained networks with those of their dense networks."""

from mia_pruning.stages.distance import measure_distance
from mia_pruning.stages.fitting import use_threads
from mia_pruning.stages.job import job

with job(snakemake):
    use_threads(snakemake.threads)
    measure_distance(
        snakemake.input.dataset,
        snakemake.input.split,
        {stage: list(snakemake.input[stage]) for stage in ("dense", "pruned", "retrained")},
        snakemake.params.settings,
        snakemake.output[0],
    )
