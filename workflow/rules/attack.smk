"""Attacks: pure functions of the recorded signals."""


rule run_attack:
    input:
        dataset=packed_data,
        arrays=packed_arrays("images", "labels"),
        split=f"{RUN}/membership.npz",
        target_signals=f"{DEFENCE}/signals.npy",
        shadow_signals=shadow_signals,
        target_probes=target_probes,
        shadow_probes=shadow_probes,
        dense_signals=dense_signals,
        shadow_data=shadow_data,
        shadow_split=shadow_split,
    output:
        f"{DEFENCE}/attacks/{{attack}}.{{attacker}}.npz",
    log:
        f"{DEFENCE}/logs/run_attack_{{attack}}.{{attacker}}.log",
    benchmark:
        f"{DEFENCE}/benchmarks/run_attack_{{attack}}.{{attacker}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory_of("run_attack"),
        runtime=minutes_of("run_attack"),
    params:
        attack=attack_settings,
        probes=lambda wildcards: STUDY.probes_of(wildcards.attack),
        seed=seed_of,
        code=attack_code,
    message:
        "Attack {wildcards.attack} ({wildcards.attacker}) on {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective} + {wildcards.constraint}"
    script:
        "../scripts/run_attack.py"
