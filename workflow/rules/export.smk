"""Export: files of a study for a paper, and the record of its run."""


rule export_study:
    input:
        tables=rules.summarise_study.output,
        verdicts=rules.judge_claims.output,
        report=rules.write_report.output,
        figures=expand(rules.draw_figure.output, figure=FIGURES, allow_missing=True),
        datasets=expand(f"{DATASET}/dataset.json", dataset=LAYOUT.reported_datasets()),
        claims=PAGES / "claims.yaml",
    output:
        paper=expand("results/{{study}}/export/{table}.{kind}", table=["verdicts", "defences", "attacks"], kind=["tex", "md"]),
        study="results/{study}/export/study.yaml",
        readme="results/{study}/README.md",
        code=directory("results/{study}/export/workflow"),
        crate="results/{study}/ro-crate-metadata.json",
    log:
        "results/{study}/logs/export_study.log",
    benchmark:
        "results/{study}/benchmarks/export_study.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory_of("export_study"),
        runtime=minutes_of("export_study"),
    params:
        settings=STUDY.settings,
        missing=MISSING.sentences(),
        scripts={rule.name: Path(rule.script).name for rule in workflow.rules if rule.script},
        names=NAMES,
        code=code_of("export_study.py"),
    message:
        "Exporting {wildcards.study}"
    script:
        "../scripts/export_study.py"
