"""Gather the evaluations of a study into tidy tables."""

from mia_pruning.stages.exposure import write_exposure_correlations
from mia_pruning.stages.job import job
from mia_pruning.stages.summarise import collect_tables, nested, summarise
from mia_pruning.tables import gathered

with job(snakemake):
    given, settings, made = snakemake.input, snakemake.params, snakemake.output
    evaluations = nested(settings.about["defence"], given.evaluations)
    summarise(
        evaluations,
        nested(settings.about["defence"], given.releases),
        settings.defences,
        settings.frontier,
        settings.protocols,
        dict(made.items()),
    )
    write_exposure_correlations(made.exposure_correlation, evaluations)
    for name, table in gathered().items():
        parts = zip(settings.about[table.parts], given[name], strict=True)
        collect_tables(made[name], parts, table.columns)
