"""Report: figures and pages that people read, made from tables."""


rule draw_figure:
    input:
        **{name: f"{RESULTS}/{name}.csv" for name in TABLES},
        claims=PAGES / "claims.yaml",
    output:
        svg=report(
            "results/{study}/figures/{figure}.svg",
            caption=BASE / "report" / "captions" / "figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        table="results/{study}/figures/{figure}.csv",
        words="results/{study}/figures/{figure}.json",
        print_svg="results/{study}/export/{figure}.svg",
        print_pdf="results/{study}/export/{figure}.pdf",
    log:
        "results/{study}/logs/draw_figure_{figure}.log",
    benchmark:
        "results/{study}/benchmarks/draw_figure_{figure}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory_of("draw_figure"),
        runtime=minutes_of("draw_figure"),
    params:
        names=NAMES,
        code=by_wildcards(PARAMETERS.figure_code, "draw_figure.py"),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_figure.py"


rule write_report:
    input:
        **{name: f"{RESULTS}/{name}.csv" for name in TABLES},
        figures=expand("results/{{study}}/figures/{figure}.svg", figure=FIGURES),
        datasets=expand(f"{DATASET}/dataset.json", dataset=LAYOUT.reported_datasets()),
        claims=PAGES / "claims.yaml",
        pages=page_parts(),
    output:
        report(
            "results/{study}/report.html",
            caption=BASE / "report" / "captions" / "report.rst",
            category="Report",
            labels={"study": "{study}"},
        ),
    log:
        "results/{study}/logs/write_report.log",
    benchmark:
        "results/{study}/benchmarks/write_report.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory_of("write_report"),
        runtime=minutes_of("write_report"),
    params:
        settings=STUDY.settings,
        missing=MISSING.sentences(),
        names=NAMES,
        code=code_of("write_report.py"),
    message:
        "Writing the report of {wildcards.study}"
    script:
        "../scripts/write_report.py"
