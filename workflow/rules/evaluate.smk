"""Evaluation: scores become numbers with intervals, and numbers become verdicts."""


rule evaluate_defence:
    input:
        attacks=by_wildcards(LAYOUT.attack_files),
        dataset=by_wildcards(LAYOUT.packed_data),
        arrays=by_wildcards(LAYOUT.packed_images),
        split=f"{RUN}/membership.npz",
        signals=f"{DEFENCE}/signals.npy",
    output:
        **{name: f"{DEFENCE}/{name}.csv" for name in written_by("evaluate_defence")},
        evaluation=f"{DEFENCE}/evaluation.npz",
    log:
        f"{DEFENCE}/logs/evaluate_defence.log",
    benchmark:
        f"{DEFENCE}/benchmarks/evaluate_defence.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory_of("evaluate_defence"),
        runtime=minutes_of("evaluate_defence"),
    params:
        attacks=by_wildcards(PARAMETERS.attacks),
        eligible=STUDY.eligible_attacks(),
        seed=by_wildcards(PARAMETERS.seed),
        n_replicates=STUDY["bootstrap_replicates"],
        code=code_of("evaluate_defence.py"),
    message:
        "Evaluating {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective} + {wildcards.constraint}"
    script:
        "../scripts/evaluate_defence.py"


rule summarise_study:
    input:
        **{name: all_paths(table.parts, f"{name}.csv") for name, table in gathered().items()},
        evaluations=all_paths("defence", "evaluation.npz"),
        releases=all_paths("defence", "release/measures.json"),
    output:
        **{name: f"{RESULTS}/{name}.csv" for name in [*written_by("summarise_study"), *gathered()]},
    log:
        "results/{study}/logs/summarise_study.log",
    benchmark:
        "results/{study}/benchmarks/summarise_study.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory_of("summarise_study"),
        runtime=minutes_of("summarise_study"),
    params:
        defences=STUDY["defences"],
        frontier=STUDY["frontier"],
        protocols={name: entry["split"]["protocol"] for name, entry in STUDY["experiments"].items()},
        about={table.parts: all_about(table.parts) for table in gathered().values()},
        code=code_of("summarise_study.py"),
    message:
        "Summarising {wildcards.study}"
    script:
        "../scripts/summarise_study.py"


rule judge_claims:
    input:
        claims=PAGES / "claims.yaml",
        results=f"{RESULTS}/results.csv",
        differences=f"{RESULTS}/differences.csv",
    output:
        f"{RESULTS}/verdicts.csv",
    log:
        "results/{study}/logs/judge_claims.log",
    benchmark:
        "results/{study}/benchmarks/judge_claims.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory_of("judge_claims"),
        runtime=minutes_of("judge_claims"),
    params:
        missing=MISSING.by_experiment(STUDY["frontier"]),
        code=code_of("judge_claims.py"),
    message:
        "Judging the claims by {wildcards.study}"
    script:
        "../scripts/judge_claims.py"
