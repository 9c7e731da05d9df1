"""Dense models into a sparsity set, and retraining inside it."""


rule prune_models:
    input:
        dataset=packed_data,
        arrays=packed_arrays("images", "labels"),
        split=f"{RUN}/membership.npz",
        dense=dense_models,
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
        settings=prune_settings,
        rows=lambda wildcards: rows_of(wildcards, wildcards.models),
        seed=seed_of,
        code=fit_code("prune_models.py", "constraint"),
    message:
        "Pruning {wildcards.models} of {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective} + {wildcards.constraint}"
    script:
        "../scripts/prune_models.py"


rule retrain_models:
    input:
        dataset=packed_data,
        arrays=packed_arrays("images", "labels"),
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
        **if_traced(trace_epochs=retrained_trace_epochs),
        settings=retrain_settings,
        rows=lambda wildcards: rows_of(wildcards, wildcards.models),
        seed=seed_of,
        code=fit_code("retrain_models.py", "constraint"),
    message:
        "Retraining {wildcards.models} of {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective} + {wildcards.constraint}"
    script:
        "../scripts/retrain_models.py"
