"""Decide the claims of report/claims.yaml by the study's numbers."""

import pandas as pd

from mia_pruning import storage
from mia_pruning.reporting.claims import judge
from mia_pruning.stages.job import job
from mia_pruning.study import read_yaml

with job(snakemake):
    results, differences = pd.read_csv(snakemake.input.results), pd.read_csv(snakemake.input.differences)
    verdicts = judge(read_yaml(snakemake.input.claims), results, differences, snakemake.params.missing)
    storage.write_text(snakemake.output[0], verdicts.to_csv(index=False, lineterminator="\n"))
