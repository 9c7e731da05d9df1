"""What a study will cost, before anything of it is run: `python -m mia_pruning.operations.plan STUDY`.

`jobs` asks Snakemake how many jobs each rule has, `counting` counts operations and bytes of the very networks, `calibration`
measures this machine for seconds, `costs` multiplies, `comparison` holds a finished run against it, `printing` makes the table.
Nothing here is part of the pipeline.
"""
