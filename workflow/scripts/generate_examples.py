"""Fit a generator to the reference set and draw the examples of an attacker without data."""

from mia_pruning.stages.fitting import use_threads
from mia_pruning.stages.generate import generate_examples
from mia_pruning.stages.job import job

with job(snakemake) as record:
    use_threads(snakemake.threads)
    generate_examples(
        snakemake.input.dataset,
        snakemake.input.split,
        generator=snakemake.params.generator,
        seed=snakemake.params.seed,
        output=snakemake.output.description,
        record=record,
    )
