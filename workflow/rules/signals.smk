"""What models answer, recorded once, and what their files weigh."""


rule query_models:
    input:
        dataset=packed_data,
        arrays=packed_arrays,
        split=f"{RUN}/membership.npz",
        models=finished_models,
    output:
        signals=f"{DEFENCE}/signals.npy",
        description=f"{DEFENCE}/signals.json",
    log:
        f"{DEFENCE}/logs/query_models.log",
    benchmark:
        f"{DEFENCE}/benchmarks/query_models.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        model=lambda wildcards: settings_of(wildcards)["model"],
        code=model_code("query_models.py"),
    message:
        "Querying the models of {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective} + {wildcards.constraint}"
    script:
        "../scripts/query_models.py"


rule measure_compression:
    input:
        dataset=packed_data,
        arrays=packed_arrays,
        models=lambda wildcards: finished_models(wildcards)[0],
    output:
        dense=f"{DEFENCE}/release/model_dense.safetensors",
        sparse=f"{DEFENCE}/release/model_sparse.safetensors",
        counts=f"{DEFENCE}/release/compression.json",
    log:
        f"{DEFENCE}/logs/measure_compression.log",
    benchmark:
        f"{DEFENCE}/benchmarks/measure_compression.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        model=lambda wildcards: settings_of(wildcards)["model"],
        code=model_code("measure_compression.py"),
    message:
        "Measuring the compression of {wildcards.experiment}, {wildcards.objective} + {wildcards.constraint}"
    script:
        "../scripts/measure_compression.py"
