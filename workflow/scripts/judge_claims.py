"""Decide the claims of report/claims.yaml by the study's numbers."""

from mia_pruning import storage
from mia_pruning.reporting.claims import judge
from mia_pruning.reporting.tables import CsvTables
from mia_pruning.stages.job import job
from mia_pruning.study.reading import read_yaml

with job(snakemake):
    tables = CsvTables({name: snakemake.input[name] for name in ("results", "differences")})
    verdicts = judge(
        read_yaml(snakemake.input.claims),
        tables["results"],
        tables["differences"],
        snakemake.params.missing,
    )
    storage.write_text(snakemake.output[0], verdicts.to_csv(index=False, lineterminator="\n"))
