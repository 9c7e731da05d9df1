"""Write one model of a defence in both encodings and count what pruning saves."""

from mia_pruning.stages.compression import measure_compression
from mia_pruning.stages.job import job

with job(snakemake) as record:
    measure_compression(
        snakemake.input.dataset,
        snakemake.input.models,
        snakemake.params.model,
        dense=snakemake.output.dense,
        sparse=snakemake.output.sparse,
        output=snakemake.output.counts,
        record=record,
    )
