"""Data sets: fetch missing files, pack them into arrays, and split examples between models."""


rule fetch_dataset:
    input:
        by_wildcards(PARAMETERS.unpublished_files),
    output:
        f"{DATASET}/source.json",
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
        dataset=by_wildcards(PARAMETERS.dataset),
        source=by_wildcards(PARAMETERS.source),
        code=by_wildcards(PARAMETERS.dataset_code, "fetch_dataset.py"),
    message:
        "Fetching {wildcards.dataset}"
    script:
        "../scripts/fetch_dataset.py"


rule pack_dataset:
    input:
        f"{DATASET}/source.json",
    output:
        description=f"{DATASET}/dataset.json",
        images=f"{DATASET}/images.npy",
        labels=f"{DATASET}/labels.npy",
        first_copies=f"{DATASET}/first_copies.npy",
    log:
        "results/logs/pack_dataset/{dataset}.log",
    benchmark:
        "results/benchmarks/pack_dataset/{dataset}.tsv"
    conda:
        ENVIRONMENT
    threads: by_wildcards(PARAMETERS.packing_processes)
    resources:
        mem_mb=memory_of("pack_dataset"),
        runtime=minutes_of("pack_dataset"),
    params:
        dataset=by_wildcards(PARAMETERS.dataset),
        code=by_wildcards(PARAMETERS.dataset_code, "pack_dataset.py"),
    message:
        "Packing {wildcards.dataset}"
    script:
        "../scripts/pack_dataset.py"


rule split_examples:
    input:
        dataset=by_wildcards(LAYOUT.packed_data),
        arrays=by_wildcards(LAYOUT.packed_labels),
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
        split=by_wildcards(PARAMETERS.split),
        seed=by_wildcards(PARAMETERS.seed),
        code=code_of("split_examples.py"),
    message:
        "Splitting the examples of {wildcards.experiment}, seed {wildcards.seed}"
    script:
        "../scripts/split_examples.py"


rule generate_examples:
    input:
        dataset=by_wildcards(LAYOUT.original_data),
        arrays=by_wildcards(LAYOUT.original_images),
        split=by_wildcards(LAYOUT.original_split),
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
        generator=by_wildcards(PARAMETERS.generator),
        seed=by_wildcards(PARAMETERS.seed),
        code=code_of("generate_examples.py"),
    message:
        "Generating the examples of {wildcards.experiment}, seed {wildcards.seed}"
    script:
        "../scripts/generate_examples.py"
