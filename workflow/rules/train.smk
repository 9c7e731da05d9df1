"""Dense models: targets, and where the protocol has them apart, shadows. One script trains both."""


rule train_targets:
    input:
        dataset=packed_data,
        arrays=packed_arrays("images", "labels"),
        split=f"{RUN}/membership.npz",
    output:
        **if_traced(trace=f"{RUN}/{{objective}}/trained/targets_{{batch}}.trace.npy"),
        models=f"{RUN}/{{objective}}/trained/targets_{{batch}}.safetensors",
        history=f"{RUN}/{{objective}}/trained/targets_{{batch}}.history.csv",
    log:
        f"{RUN}/{{objective}}/logs/train_targets_{{batch}}.log",
    benchmark:
        f"{RUN}/{{objective}}/benchmarks/train_targets_{{batch}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory_of("train_targets"),
        runtime=minutes_of("train_targets"),
    params:
        **if_traced(trace_epochs=trained_trace_epochs),
        settings=train_settings,
        rows=lambda wildcards: rows_of(wildcards, f"targets_{wildcards.batch}"),
        seed=seed_of,
        code=fit_code("train_models.py"),
    message:
        "Training targets of {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective}, batch {wildcards.batch}"
    script:
        "../scripts/train_models.py"


use rule train_targets as train_shadows with:
    output:
        **if_traced(trace=f"{RUN}/{{objective}}/trained/shadows_{{batch}}.trace.npy"),
        models=f"{RUN}/{{objective}}/trained/shadows_{{batch}}.safetensors",
        history=f"{RUN}/{{objective}}/trained/shadows_{{batch}}.history.csv",
    log:
        f"{RUN}/{{objective}}/logs/train_shadows_{{batch}}.log",
    benchmark:
        f"{RUN}/{{objective}}/benchmarks/train_shadows_{{batch}}.tsv"
    resources:
        mem_mb=memory_of("train_shadows"),
        runtime=minutes_of("train_shadows"),
    params:
        **if_traced(trace_epochs=trained_trace_epochs),
        settings=train_settings,
        rows=lambda wildcards: rows_of(wildcards, f"shadows_{wildcards.batch}"),
        seed=seed_of,
        code=fit_code("train_models.py"),
    message:
        "Training shadows of {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective}, batch {wildcards.batch}"
