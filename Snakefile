# Does pruning defend a network against membership inference? The pipeline from raw data to a report with verdicts.
#
#   data -> split -> train -> prune -> retrain -> query, probe -> attack -> evaluate -> summarise -> claims, figures -> report, export
#
# Configuration: config.yaml, or any other study by --configfile, which replaces it. Keys: workflow/config.schema.yaml.

import re

from snakemake.utils import min_version

min_version("9.27")


report: "report/workflow.rst"


include: "workflow/rules/common.smk"


wildcard_constraints:
    study=STUDY.name,
    experiment="|".join(map(re.escape, [*STUDY["experiments"], *STUDY.generated])),
    seed="|".join(map(str, STUDY["seeds"])),
    dataset="|".join(STUDY["datasets"]),
    objective="|".join(STUDY["objectives"]),
    constraint="|".join(STUDY["constraints"]),
    probe="|".join(map(re.escape, ASKED_PROBES)) or "none",
    attack="|".join(STUDY["attacks"]),
    attacker="adaptive|dense_shadows|known_members|generated_shadows",
    models=r"(targets|shadows)_\d+",
    batch=r"\d+",
    figure="|".join(FIGURES),


rule all:
    default_target: True
    input:
        f"results/{STUDY.name}/report.html",
        f"results/{STUDY.name}/ro-crate-metadata.json",
        expand(f"results/{STUDY.name}/figures/{{figure}}.svg", figure=FIGURES),
        expand(f"results/{STUDY.name}/{{table}}.csv", table=[name for name, table in TABLES.items() if table.linked]),


rule prefetch:  # all that needs a network, for runs where there is none
    input:
        expand(f"{DATASET}/source.json", dataset=STUDY["datasets"]),


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/prune.smk"
include: "workflow/rules/signals.smk"
include: "workflow/rules/attack.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/export.smk"
