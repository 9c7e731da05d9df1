"""From a data set's own files, fetched where they are missing, to packed arrays, and who trains on what."""


rule fetch_dataset:
    input:
        unpublished_files,
    output:
        "results/data/{dataset}/source.json",
    log:
        "results/logs/fetch_dataset/{dataset}.log",
    benchmark:
        "results/benchmarks/fetch_dataset/{dataset}.tsv"
    localrule: True  # the node that plans is the one with a network
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory_of("fetch_dataset"),
        runtime=minutes_of("fetch_dataset"),
    params:
        dataset=lambda wildcards: STUDY["datasets"][wildcards.dataset],
        source=source_identity,
        code=lambda wildcards: code_of("fetch_dataset.py", *STUDY.plug_ins("datasets", wildcards.dataset)),
    message:
        "Fetching {wildcards.dataset}"
    script:
        "../scripts/fetch_dataset.py"


rule pack_dataset:
    input:
        "results/data/{dataset}/source.json",
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
    threads: packing_processes
    resources:
        mem_mb=memory_of("pack_dataset"),
        runtime=minutes_of("pack_dataset"),
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
        arrays=packed_arrays("labels", "first_copies"),
    output:
        f"{RUN}/membership.npz",
    log:
        f"{RUN}/logs/split_examples.log",
    benchmark:
        f"{RUN}/benchmarks/split_examples.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory_of("split_examples"),
        runtime=minutes_of("split_examples"),
    params:
        split=lambda wildcards: settings_of(wildcards)["split"],
        seed=seed_of,
        code=code_of("split_examples.py"),
    message:
        "Splitting the examples of {wildcards.experiment}, seed {wildcards.seed}"
    script:
        "../scripts/split_examples.py"


rule generate_examples:
    input:
        dataset=original_data,
        arrays=original_arrays,
        split=original_split,
    output:
        description=f"{RUN}/examples/dataset.json",
        images=f"{RUN}/examples/images.npy",
        labels=f"{RUN}/examples/labels.npy",
        first_copies=f"{RUN}/examples/first_copies.npy",
    log:
        f"{RUN}/logs/generate_examples.log",
    benchmark:
        f"{RUN}/benchmarks/generate_examples.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory_of("generate_examples"),
        runtime=minutes_of("generate_examples"),
    params:
        generator=generator_settings,
        seed=seed_of,
        code=code_of("generate_examples.py"),
    message:
        "Generating the examples of {wildcards.experiment}, seed {wildcards.seed}"
    script:
        "../scripts/generate_examples.py"
