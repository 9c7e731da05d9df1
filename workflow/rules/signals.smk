"""Signals: answers of the models, recorded once, and measures of pruned and released models."""


rule query_models:
    input:
        dataset=by_wildcards(LAYOUT.packed_data),
        arrays=by_wildcards(LAYOUT.packed_images),
        split=f"{RUN}/membership.npz",
        models=by_wildcards(LAYOUT.finished_models),
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
        mem_mb=memory_of("query_models"),
        runtime=minutes_of("query_models"),
    params:
        settings=by_wildcards(PARAMETERS.network),
        code=by_wildcards(PARAMETERS.defence_code, "query_models.py"),
    message:
        "Querying the models of {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective} + {wildcards.constraint}"
    script:
        "../scripts/query_models.py"


rule probe_models:
    input:
        dataset=by_wildcards(LAYOUT.packed_data),
        arrays=by_wildcards(LAYOUT.packed_images),
        split=f"{RUN}/membership.npz",
        models=by_wildcards(LAYOUT.finished_models),
    output:
        answers=f"{DEFENCE}/probes/{{probe}}.npy",
        description=f"{DEFENCE}/probes/{{probe}}.json",
    log:
        f"{DEFENCE}/logs/probe_models_{{probe}}.log",
    benchmark:
        f"{DEFENCE}/benchmarks/probe_models_{{probe}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory_of("probe_models"),
        runtime=minutes_of("probe_models"),
    params:
        settings=by_wildcards(PARAMETERS.network),
        probe=by_wildcards(PARAMETERS.probe),
        seed=by_wildcards(PARAMETERS.seed),
        code=by_wildcards(PARAMETERS.probe_code, "probe_models.py"),
    message:
        "Probe {wildcards.probe} of the models of {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective} + {wildcards.constraint}"
    script:
        "../scripts/probe_models.py"


rule gather_traces:
    input:
        by_wildcards(LAYOUT.traces),
    output:
        answers=f"{DEFENCE}/probes/loss_trace.npy",
        description=f"{DEFENCE}/probes/loss_trace.json",
    log:
        f"{DEFENCE}/logs/gather_traces.log",
    benchmark:
        f"{DEFENCE}/benchmarks/gather_traces.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory_of("gather_traces"),
        runtime=minutes_of("gather_traces"),
    params:
        code=code_of("gather_traces.py"),
    message:
        "Joining losses of {wildcards.experiment}, {wildcards.objective} + {wildcards.constraint}"
    script:
        "../scripts/gather_traces.py"


rule measure_release:
    input:
        dataset=by_wildcards(LAYOUT.packed_data),
        arrays=by_wildcards(LAYOUT.packed_images),
        models=by_wildcards(LAYOUT.released_models),
    output:
        dense=f"{DEFENCE}/release/model_dense.safetensors",
        sparse=f"{DEFENCE}/release/model_sparse.safetensors",
        counts=f"{DEFENCE}/release/measures.json",
    log:
        f"{DEFENCE}/logs/measure_release.log",
    benchmark:
        f"{DEFENCE}/benchmarks/measure_release.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory_of("measure_release"),
        runtime=minutes_of("measure_release"),
    params:
        settings=by_wildcards(PARAMETERS.release),
        code=by_wildcards(PARAMETERS.release_code, "measure_release.py"),
    message:
        "Measuring the release of {wildcards.experiment}, {wildcards.objective} + {wildcards.constraint}"
    script:
        "../scripts/measure_release.py"


rule measure_distance:
    input:
        dataset=by_wildcards(LAYOUT.packed_data),
        arrays=by_wildcards(LAYOUT.packed_images),
        split=f"{RUN}/membership.npz",
        dense=by_wildcards(LAYOUT.trained_models),
        pruned=by_wildcards(LAYOUT.pruned_models),
        retrained=by_wildcards(LAYOUT.retrained_models),
    output:
        f"{DEFENCE}/distance.csv",
    log:
        f"{DEFENCE}/logs/measure_distance.log",
    benchmark:
        f"{DEFENCE}/benchmarks/measure_distance.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory_of("measure_distance"),
        runtime=minutes_of("measure_distance"),
    params:
        settings=by_wildcards(PARAMETERS.network),
        code=by_wildcards(PARAMETERS.defence_code, "measure_distance.py"),
    message:
        "Measuring subnetworks of {wildcards.experiment}, seed {wildcards.seed}, {wildcards.objective} + {wildcards.constraint}"
    script:
        "../scripts/measure_distance.py"
