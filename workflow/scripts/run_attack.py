"""Run one attack on every target of one defence."""

from mia_pruning.stages.attack import run_attack
from mia_pruning.stages.job import job

with job(snakemake) as record:
    run_attack(
        snakemake.input.dataset,
        snakemake.input.split,
        target_signals=snakemake.input.target_signals,
        shadow_signals=snakemake.input.shadow_signals,
        target_probes=dict(
            zip(snakemake.params.probes, snakemake.input.target_probes, strict=True)
        ),
        shadow_probes=dict(
            zip(snakemake.params.probes, snakemake.input.shadow_probes, strict=True)
        ),
        dense_signals=next(iter(snakemake.input.dense_signals), None),
        shadow_dataset=next(iter(snakemake.input.shadow_data), None),
        shadow_split=next(iter(snakemake.input.shadow_split), None),
        attack=snakemake.params.attack,
        attacker=snakemake.wildcards.attacker,
        seed=snakemake.params.seed,
        output=snakemake.output[0],
        record=record,
    )
