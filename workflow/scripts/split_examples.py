"""Fill the membership matrix: which model trains on which examples."""

from mia_pruning.stages.job import job
from mia_pruning.stages.split import split_examples

with job(snakemake) as record:
    split_examples(
        snakemake.input.dataset,
        snakemake.params.split,
        snakemake.params.seed,
        snakemake.output[0],
        record,
    )
