"""Compute every metric of one defence, for each target and bootstrap replicate."""

from mia_pruning.stages.evaluate import evaluate_defence
from mia_pruning.stages.job import job

with job(snakemake) as record:
    given, settings = snakemake.input, snakemake.params
    attacks = [tuple(names) for names in settings.attacks]
    evaluate_defence(
        given.dataset,
        given.split,
        given.signals,
        dict(zip(attacks, given.attacks, strict=True)),
        eligible=settings.eligible,
        seed=settings.seed,
        n_replicates=settings.n_replicates,
        outputs=dict(snakemake.output.items()),
        record=record,
    )
