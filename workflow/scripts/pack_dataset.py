"""Pack a data set into memory-mapped arrays with a description."""

from mia_pruning.registry import find, options_of
from mia_pruning.stages.job import job
from mia_pruning.stages.pack import pack_dataset

with job(snakemake) as record:
    entry = snakemake.params.dataset
    plug_in = find("dataset", entry["use"], f"datasets.{snakemake.wildcards.dataset}.use")
    pack_dataset(plug_in.load()(**options_of(plug_in, entry)), snakemake.output.description, record)
