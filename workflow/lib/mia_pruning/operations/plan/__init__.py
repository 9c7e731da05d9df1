"""Cost of a study before any of it is run: `python -m mia_pruning.operations.plan STUDY`.

`jobs` asks Snakemake how many jobs each rule has. `counting` counts operations and bytes of the
study's own networks. `calibration` measures this machine for seconds, `costs` multiplies.
`comparison` compares the estimate with a finished run, `printing` makes the table. Nothing here is
part of the pipeline.
"""
