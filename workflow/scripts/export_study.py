"""Write a study's tables for a paper, and the record of its run."""

from pathlib import Path

from mia_pruning.reporting.exporting import export_study
from mia_pruning.reporting.style import displaying
from mia_pruning.stages.job import job
from mia_pruning.study.reading import read_yaml

with job(snakemake), displaying(snakemake.params.names):
    given, made = snakemake.input, snakemake.output
    tables = [*given.tables, *given.verdicts]
    export_study(
        {Path(path).stem: path for path in tables},
        [*tables, *given.report, *given.figures],
        claims=read_yaml(given.claims),
        settings=snakemake.params.settings,
        missing=snakemake.params.missing,
        datasets={Path(path).parent.name: path for path in given.datasets},
        folder=Path(made.crate).parent,
        paper={Path(path).name: path for path in made.paper},
        study=made.study,
        readme=made.readme,
        code=made.code,
        scripts=snakemake.params.scripts,
        crate=made.crate,
    )
