"""Write the study's report."""

from pathlib import Path

from mia_pruning.reporting.report import write_report
from mia_pruning.reporting.style import displaying
from mia_pruning.stages.job import job
from mia_pruning.study.reading import read_yaml
from mia_pruning.tables import TABLES

with job(snakemake), displaying(snakemake.params.names):
    given = snakemake.input
    write_report(
        snakemake.output[0],
        tables={name: given[name] for name in TABLES},
        figures={Path(path).stem: path for path in given.figures},
        claims=read_yaml(given.claims),
        settings=snakemake.params.settings,
        missing=snakemake.params.missing,
        datasets={Path(path).parent.name: path for path in given.datasets},
        folder=Path(snakemake.output[0]).parent,
        pages=Path(given.claims).parent,
    )
