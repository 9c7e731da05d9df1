"""Draw one figure of the report."""

from mia_pruning.reporting.claims import headline_of
from mia_pruning.reporting.drawing import draw_figure
from mia_pruning.reporting.style import displaying
from mia_pruning.reporting.tables import CsvTables
from mia_pruning.stages.job import job
from mia_pruning.study.reading import read_yaml

with job(snakemake):
    tables = {name: path for name, path in snakemake.input.items() if path.endswith(".csv")}
    headline = headline_of(read_yaml(snakemake.input.claims), CsvTables(tables)["results"])
    with displaying(snakemake.params.names):
        draw_figure(snakemake.wildcards.figure, tables, headline, **dict(snakemake.output.items()))
