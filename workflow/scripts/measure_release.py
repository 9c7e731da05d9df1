"""Write one model of a defence in both encodings, with its size, cost and guarantee."""

from mia_pruning.stages.job import job
from mia_pruning.stages.release import measure_release

with job(snakemake) as record:
    measure_release(
        snakemake.input.dataset,
        snakemake.input.models,
        snakemake.params.settings,
        dense=snakemake.output.dense,
        sparse=snakemake.output.sparse,
        output=snakemake.output.counts,
        record=record,
    )
