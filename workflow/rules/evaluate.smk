"""From scores to numbers with intervals, and from numbers to verdicts."""


rule evaluate_defence:
    input:
        attack_files,
        dataset=packed_data,
        arrays=packed_arrays("images", "labels"),
        split=f"{RUN}/membership.npz",
        signals=f"{DEFENCE}/signals.npy",
    output:
        evaluation=f"{DEFENCE}/evaluation.npz",
        roc=f"{DEFENCE}/roc.csv",
        operating=f"{DEFENCE}/operating.csv",
        confidence=f"{DEFENCE}/confidence.csv",
        strongest=f"{DEFENCE}/strongest.csv",
        failures=f"{DEFENCE}/failures.csv",
        audit=f"{DEFENCE}/audit.csv",
        exposed=f"{DEFENCE}/exposed.csv",
        agreement=f"{DEFENCE}/agreement.csv",
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
        attacks=attack_keys,
        menu=STUDY.menu(),
        seed=seed_of,
        n_replicates=STUDY["bootstrap_replicates"],
        code=code_of("evaluate_defence.py"),
    message:
        "Evaluating {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective} + {wildcards.constraint}"
    script:
        "../scripts/evaluate_defence.py"


rule summarise_study:
    input:
        evaluations=paths(over_defences(f"{DEFENCE}/evaluation.npz")),
        releases=paths(over_defences(f"{DEFENCE}/release/measures.json")),
        roc=paths(over_defences(f"{DEFENCE}/roc.csv")),
        operating=paths(over_defences(f"{DEFENCE}/operating.csv")),
        confidence=paths(over_defences(f"{DEFENCE}/confidence.csv")),
        strongest=paths(over_defences(f"{DEFENCE}/strongest.csv")),
        failures=paths(over_defences(f"{DEFENCE}/failures.csv")),
        audit=paths(over_defences(f"{DEFENCE}/audit.csv")),
        exposed=paths(over_defences(f"{DEFENCE}/exposed.csv")),
        agreement=paths(over_defences(f"{DEFENCE}/agreement.csv")),
        history=paths(histories()),
        residuals=paths(pruning_tables("residuals")),
        projection=paths(pruning_tables("projection")),
        distance=paths(over_subnetworks(f"{DEFENCE}/distance.csv")),
    output:
        results="results/{study}/results.csv",
        differences="results/{study}/differences.csv",
        targets="results/{study}/targets.csv",
        guarantees="results/{study}/guarantees.csv",
        roc="results/{study}/roc.csv",
        operating="results/{study}/operating.csv",
        confidence="results/{study}/confidence.csv",
        strongest="results/{study}/strongest.csv",
        failures="results/{study}/failures.csv",
        audit="results/{study}/audit.csv",
        exposed="results/{study}/exposed.csv",
        agreement="results/{study}/agreement.csv",
        exposure_correlation="results/{study}/exposure_correlation.csv",
        history="results/{study}/history.csv",
        residuals="results/{study}/residuals.csv",
        projection="results/{study}/projection.csv",
        distance="results/{study}/distance.csv",
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
        about={
            "evaluations": [about for about, _ in over_defences("")],
            "history": [about for about, _ in histories()],
            "distance": [about for about, _ in over_subnetworks("")],
            "pruning": [about for about, _ in pruning_tables("residuals")],
        },
        code=code_of("summarise_study.py"),
    message:
        "Summarising {wildcards.study}"
    script:
        "../scripts/summarise_study.py"


rule judge_claims:
    input:
        claims=PAGES / "claims.yaml",
        results="results/{study}/results.csv",
        differences="results/{study}/differences.csv",
    output:
        "results/{study}/verdicts.csv",
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
