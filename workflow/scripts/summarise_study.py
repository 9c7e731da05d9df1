"""Gather the evaluations of a study into tidy tables."""

from mia_pruning.stages.exposure import write_exposure_correlations
from mia_pruning.stages.job import job
from mia_pruning.stages.summarise import collect_tables, nested, summarise
from mia_pruning.tables import ABOUT, OF_EVALUATION, OF_TRAINING

COLUMNS = {name: (*ABOUT, *columns) for name, columns in OF_EVALUATION.items()} | OF_TRAINING

with job(snakemake):
    about = snakemake.params.about
    evaluations = nested(about["evaluations"], snakemake.input.evaluations)
    summarise(
        evaluations,
        nested(about["evaluations"], snakemake.input.releases),
        snakemake.params.defences,
        snakemake.params.frontier,
        snakemake.params.protocols,
        results=snakemake.output.results,
        differences=snakemake.output.differences,
        targets=snakemake.output.targets,
        guarantees=snakemake.output.guarantees,
    )
    write_exposure_correlations(snakemake.output.exposure_correlation, evaluations)
    for table, keys in {
        "roc": "evaluations",
        "operating": "evaluations",
        "confidence": "evaluations",
        "strongest": "evaluations",
        "failures": "evaluations",
        "audit": "evaluations",
        "exposed": "evaluations",
        "agreement": "evaluations",
        "history": "history",
        "residuals": "pruning",
        "projection": "pruning",
        "distance": "distance",
    }.items():
        parts = zip(about[keys], snakemake.input[table], strict=True)
        collect_tables(snakemake.output[table], parts, COLUMNS[table])
