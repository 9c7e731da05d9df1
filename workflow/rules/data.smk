"""From a data set's own files to packed arrays, and who trains on what."""


rule pack_dataset:
    input:
        source_files,
    output:
        description="results/data/{dataset}/dataset.json",
        images="results/data/{dataset}/images.npy",
        labels="results/data/{dataset}/labels.npy",
        first_copies="results/data/{dataset}/first_copies.npy",
    log:
        "results/logs/pack_dataset/{dataset}.log",
    benchmark:
        "results/benchmarks/pack_dataset/{dataset}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        dataset=lambda wildcards: STUDY["datasets"][wildcards.dataset],
        code=lambda wildcards: code_of("pack_dataset.py", *STUDY.plug_ins("datasets", wildcards.dataset)),
    message:
        "Packing {wildcards.dataset}"
    script:
        "../scripts/pack_dataset.py"


rule split_examples:
    input:
        dataset=packed_data,
        arrays=packed_arrays,
    output:
        f"{RUN}/membership.npz",
    log:
        f"{RUN}/logs/split_examples.log",
    benchmark:
        f"{RUN}/benchmarks/split_examples.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        split=lambda wildcards: settings_of(wildcards)["split"],
        seed=lambda wildcards: int(wildcards.seed),
        code=code_of("split_examples.py"),
    message:
        "Splitting the examples of {wildcards.experiment}, seed {wildcards.seed}"
    script:
        "../scripts/split_examples.py"
