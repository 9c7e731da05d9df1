"""Draw one figure of the report."""

from mia_pruning.reporting.drawing import draw_figure
from mia_pruning.stages.job import job
from mia_pruning.study import read_yaml

with job(snakemake):
    tables = {name: path for name, path in snakemake.input.items() if path.endswith(".csv")}
    draw_figure(
        snakemake.wildcards.figure, tables, read_yaml(snakemake.input.claims)["headline"], **dict(snakemake.output.items())
    )
