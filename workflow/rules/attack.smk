"""Attacks: pure functions of the recorded signals."""


rule run_attack:
    input:
        dataset=by_wildcards(LAYOUT.packed_data),
        arrays=by_wildcards(LAYOUT.packed_images),
        split=f"{RUN}/membership.npz",
        target_signals=f"{DEFENCE}/signals.npy",
        shadow_signals=by_wildcards(LAYOUT.shadow_signals),
        target_probes=by_wildcards(LAYOUT.target_probes),
        shadow_probes=by_wildcards(LAYOUT.shadow_probes),
        dense_signals=by_wildcards(LAYOUT.dense_signals),
        shadow_data=by_wildcards(LAYOUT.shadow_data),
        shadow_split=by_wildcards(LAYOUT.shadow_split),
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
        attack=by_wildcards(PARAMETERS.attack),
        probes=by_wildcards(STUDY.probes_of),
        seed=by_wildcards(PARAMETERS.seed),
        code=by_wildcards(PARAMETERS.attack_code, "run_attack.py"),
    message:
        "Attack {wildcards.attack} ({wildcards.attacker}) on {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective} + {wildcards.constraint}"
    script:
        "../scripts/run_attack.py"
