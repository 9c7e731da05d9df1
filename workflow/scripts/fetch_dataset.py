"""Fetch a data set's files and record their digests."""

from mia_pruning.registry import find, options_of
from mia_pruning.stages.fetch import fetch_dataset
from mia_pruning.stages.job import job

with job(snakemake) as record:
    entry = snakemake.params.dataset
    plug_in = find("dataset", entry["use"], f"datasets.{snakemake.wildcards.dataset}.use")
    fetch_dataset(plug_in.load()(**options_of(plug_in, entry)), snakemake.output[0], record)
