"""Pruning: bring dense models into a sparsity set, and retrain them inside it."""


rule prune_models:
    input:
        dataset=by_wildcards(LAYOUT.packed_data),
        arrays=by_wildcards(LAYOUT.packed_images),
        split=f"{RUN}/membership.npz",
        dense=by_wildcards(LAYOUT.dense_model),
    output:
        models=f"{DEFENCE}/pruned/{{models}}.safetensors",
        history=f"{DEFENCE}/pruned/{{models}}.history.csv",
        residuals=f"{DEFENCE}/pruned/{{models}}.residuals.csv",
        projection=f"{DEFENCE}/pruned/{{models}}.projection.csv",
    log:
        f"{DEFENCE}/logs/prune_{{models}}.log",
    benchmark:
        f"{DEFENCE}/benchmarks/prune_{{models}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory_of("prune_models"),
        runtime=minutes_of("prune_models"),
    params:
        settings=by_wildcards(PARAMETERS.pruning),
        rows=by_wildcards(LAYOUT.rows_of),
        seed=by_wildcards(PARAMETERS.seed),
        code=by_wildcards(PARAMETERS.defence_code, "prune_models.py"),
    message:
        "Pruning {wildcards.models} of {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective} + {wildcards.constraint}"
    script:
        "../scripts/prune_models.py"


rule retrain_models:
    input:
        dataset=by_wildcards(LAYOUT.packed_data),
        arrays=by_wildcards(LAYOUT.packed_images),
        split=f"{RUN}/membership.npz",
        pruned=f"{DEFENCE}/pruned/{{models}}.safetensors",
    output:
        **if_traced(trace=f"{DEFENCE}/retrained/{{models}}.trace.npy"),
        models=f"{DEFENCE}/retrained/{{models}}.safetensors",
        history=f"{DEFENCE}/retrained/{{models}}.history.csv",
    log:
        f"{DEFENCE}/logs/retrain_{{models}}.log",
    benchmark:
        f"{DEFENCE}/benchmarks/retrain_{{models}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory_of("retrain_models"),
        runtime=minutes_of("retrain_models"),
    params:
        **if_traced(trace_epochs=by_wildcards(PARAMETERS.retraining_trace)),
        settings=by_wildcards(PARAMETERS.retraining),
        rows=by_wildcards(LAYOUT.rows_of),
        seed=by_wildcards(PARAMETERS.seed),
        code=by_wildcards(PARAMETERS.defence_code, "retrain_models.py"),
    message:
        "Retraining {wildcards.models} of {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective} + {wildcards.constraint}"
    script:
        "../scripts/retrain_models.py"
