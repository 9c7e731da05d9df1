"""Run one attack on every target of one defence."""

from mia_pruning.stages.attack import run_attack
from mia_pruning.stages.job import job

with job(snakemake) as record:
    run_attack(
        snakemake.input.dataset,
        snakemake.input.split,
        target_signals=snakemake.input.target_signals,
        shadow_signals=snakemake.input.shadow_signals,
        attack=snakemake.params.attack,
        attacker=snakemake.wildcards.attacker,
        seed=snakemake.params.seed,
        output=snakemake.output[0],
        record=record,
    )
