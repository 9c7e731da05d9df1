"""Training of dense models: targets and, if the protocol separates them, shadow models.

One script trains both.
"""


rule train_targets:
    input:
        dataset=by_wildcards(LAYOUT.packed_data),
        arrays=by_wildcards(LAYOUT.packed_images),
        split=f"{RUN}/membership.npz",
    output:
        **if_traced(trace=f"{TRAINED}/targets_{{batch}}.trace.npy"),
        models=f"{TRAINED}/targets_{{batch}}.safetensors",
        history=f"{TRAINED}/targets_{{batch}}.history.csv",
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
        **if_traced(trace_epochs=by_wildcards(PARAMETERS.training_trace)),
        settings=by_wildcards(PARAMETERS.training),
        rows=by_wildcards(LAYOUT.target_rows),
        seed=by_wildcards(PARAMETERS.seed),
        code=by_wildcards(PARAMETERS.dense_code, "train_models.py"),
    message:
        "Training targets of {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective}, batch {wildcards.batch}"
    script:
        "../scripts/train_models.py"


use rule train_targets as train_shadows with:
    output:
        **if_traced(trace=f"{TRAINED}/shadows_{{batch}}.trace.npy"),
        models=f"{TRAINED}/shadows_{{batch}}.safetensors",
        history=f"{TRAINED}/shadows_{{batch}}.history.csv",
    log:
        f"{RUN}/{{objective}}/logs/train_shadows_{{batch}}.log",
    benchmark:
        f"{RUN}/{{objective}}/benchmarks/train_shadows_{{batch}}.tsv"
    resources:
        mem_mb=memory_of("train_shadows"),
        runtime=minutes_of("train_shadows"),
    params:
        **if_traced(trace_epochs=by_wildcards(PARAMETERS.training_trace)),
        settings=by_wildcards(PARAMETERS.training),
        rows=by_wildcards(LAYOUT.shadow_rows),
        seed=by_wildcards(PARAMETERS.seed),
        code=by_wildcards(PARAMETERS.dense_code, "train_models.py"),
    message:
        "Training shadows of {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective}, batch {wildcards.batch}"
