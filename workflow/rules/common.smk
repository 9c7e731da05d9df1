"""The study, and the functions that give rules their inputs and parameters. No rule stands here."""

import gc
import inspect
import os
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

# Snakemake makes millions of small objects that stay; to look through them for garbage as often as usual takes a tenth of its time.
gc.set_threshold(50_000, 20, 50)

BASE = Path(workflow.basedir)
sys.path.insert(0, str(BASE / "workflow" / "lib"))

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import ExecMode

from mia_pruning import registry
from mia_pruning.generated import ATTACKER as GENERATED_SHADOWS
from mia_pruning.generated import derived_name, is_derived, n_generated, original_name
from mia_pruning.missing import LEFT_OUT, Missing, read_missing
from mia_pruning.provenance import code_digest, module_file
from mia_pruning.run_lock import LOCK, take_lock
from mia_pruning.seeds import derived_seed
from mia_pruning.study import LAYOUT_KEYS, hold, load_study
from mia_pruning.types import BASELINE, StudyError

try:
    STUDY = load_study(
        config,
        default=BASE / "config.yaml",
        files=[Path(file) for file in workflow.configfiles],
        results=Path("results"),
        overrides=workflow.config_settings.config,
    )
    hold(STUDY, begins=workflow.exec_mode == ExecMode.DEFAULT)
    MISSING = read_missing(Path(os.environ[LEFT_OUT])) if LEFT_OUT in os.environ else Missing()
except StudyError as error:
    raise WorkflowError(str(error)) from None

FIGURES = list(registry.catalogue("figure"))
#: tables that the report leads to
LINKED = ["results", "differences", "verdicts", "operating", "projection"]
#: where the pages' parts lie; relative, so that a project which moves with its results draws nothing anew
PAGES = Path(os.path.relpath(BASE / "report"))
ENVIRONMENT = str(BASE / "envs" / "environment.yaml")

RUN = "results/{study}/{experiment}/seed_{seed}"
DEFENCE = f"{RUN}/{{objective}}/{{constraint}}"


def signed(function):
    """The function with its signature at hand: Snakemake looks at that for every job, and Python works it out each time."""
    function.__signature__ = inspect.signature(function)
    return function


def once_for(*names):
    """A decorator: the function sees these wildcards alone and is called once for each combination of their values.

    Snakemake asks for every job, of which there may be 100,000; most answers are the same for all seeds and batches.
    """

    def remember(function):
        answer = cache(lambda *values: function(SimpleNamespace(**dict(zip(names, values, strict=True)))))
        return signed(lambda wildcards: answer(*(getattr(wildcards, name) for name in names)))

    return remember


def code_of(script, *plug_ins):
    """The digest of a script, the library modules that it imports and the plug-ins that it will load."""
    return code_digest(BASE / "workflow" / "scripts" / script, *(module_file(plug_in.module) for plug_in in plug_ins))


@signed
def seed_of(wildcards):
    """The root seed. A derived experiment has its own: its models share no initial weights with targets."""
    seed = int(wildcards.seed)
    return derived_seed(seed, "generated") if is_derived(wildcards.experiment) else seed


def settings_of(wildcards):
    return STUDY.experiment(wildcards.experiment)


# --- what jobs ask for --------------------------------------------------------------------------------------------


PLAN = STUDY.plan if STUDY.plan is not None and STUDY.plan.study == STUDY.identity else None
UNPLANNED_MB, UNPLANNED_MINUTES = 2000, 120


def memory_of(rule):
    """A resource: megabytes that a job of this rule asks for, more with each attempt. Without a plan nobody here measures it."""
    if PLAN is None:
        return UNPLANNED_MB
    return signed(lambda wildcards, attempt: PLAN.memory_mb(rule, wildcards.get("experiment"), attempt))


def minutes_of(rule):
    """A resource: its run time."""
    if PLAN is None:
        return UNPLANNED_MINUTES
    return signed(lambda wildcards, attempt: PLAN.minutes(rule, wildcards.get("experiment"), attempt))


# A dry run and the Snakemake of a job run no hooks, so both go on beside a run.
onstart:
    try:
        take_lock(LOCK)
    except StudyError as error:
        raise WorkflowError(str(error)) from None
    if PLAN is None and workflow.non_local_exec:
        state = "is not there" if STUDY.plan is None else "is of another version of this study"
        raise WorkflowError(
            f"results/{STUDY.name}/plan.json, which says what jobs ask the cluster for, {state}: run `make plan STUDY=<its file>`, "
            "or the study by `make reproduce STUDY=<its file> PROFILE=<the profile>`, which plans first"
        )


# --- data ---------------------------------------------------------------------------------------------------------


def unpublished_files(wildcards):
    """The source files that only their time of change identifies; the others may come and go."""
    return [str(path) for path, digest in STUDY.sources[wildcards.dataset].files.items() if digest is None]


def source_identity(wildcards):
    """Which data these are, wherever they lie."""
    source = STUDY.sources[wildcards.dataset]
    return {"identity": source.identity, "digests": {path.name: digest for path, digest in source.files.items()}}


def packing_processes(wildcards):
    return STUDY.sources[wildcards.dataset].n_processes


def data_folder(experiment, seed):
    """Where an experiment's packed examples lie; a derived one has its own for each seed."""
    if is_derived(experiment):
        return f"{RUN}/examples".format(study=STUDY.name, experiment=experiment, seed=seed)
    return f"results/data/{STUDY.experiment(experiment)['dataset']}"


@once_for("experiment", "seed")
def packed_data(wildcards):
    return f"{data_folder(wildcards.experiment, wildcards.seed)}/dataset.json"


def packed_arrays(*names):
    """An input function: the packed arrays of these names."""

    @once_for("experiment", "seed")
    def files(wildcards):
        return [f"{data_folder(wildcards.experiment, wildcards.seed)}/{name}.npy" for name in names]

    return files


@signed
def original_data(wildcards):
    """The description of the examples that a generator learns from."""
    return f"{data_folder(original_name(wildcards.experiment), wildcards.seed)}/dataset.json"


@signed
def original_arrays(wildcards):
    folder = data_folder(original_name(wildcards.experiment), wildcards.seed)
    return [f"{folder}/images.npy", f"{folder}/labels.npy"]


@signed
def original_split(wildcards):
    original = dict(wildcards.items()) | {"experiment": original_name(wildcards.experiment)}
    return f"{RUN}/membership.npz".format(**original)


@once_for("experiment")
def generator_settings(wildcards):
    """How a generator is fitted, and how many examples it gives."""
    fitting = {key: STUDY["generator"][key] for key in ("epochs", "learning_rate")}
    return {**fitting, "n_examples": n_generated(settings_of(wildcards))}


# --- models -------------------------------------------------------------------------------------------------------


def n_models(experiment, role):
    split = STUDY.experiment(experiment)["split"]
    return split["models"] if role == "targets" else split["shadow_models"] if split["protocol"] == "disjoint" else 0


def n_batches(experiment, role):
    return -(-n_models(experiment, role) // STUDY.models_per_job(experiment))


def rows_of(wildcards, models):
    """The rows of the membership matrix that a batch trains; shadows stand below the targets."""
    role, batch = models.rsplit("_", 1)
    size = STUDY.models_per_job(wildcards.experiment)
    count = n_models(wildcards.experiment, role)
    offset = 0 if role == "targets" else n_models(wildcards.experiment, "targets")
    return [offset + row for row in range(count)[int(batch) * size : (int(batch) + 1) * size]]


@once_for("experiment", "objective")
def network_settings(wildcards):
    """What a network is built from: its model and what its objective makes of it."""
    return {
        "model": STUDY.model(wildcards.experiment, wildcards.objective),
        "objective": STUDY.objective(wildcards.experiment, wildcards.objective),
    }


@once_for("experiment", "objective")
def train_settings(wildcards):
    """What training depends on; how models are spread over jobs is not part of it."""
    training = STUDY.training(wildcards.experiment, wildcards.objective)
    return {**network_settings(wildcards), "training": {key: v for key, v in training.items() if key not in LAYOUT_KEYS}}


@once_for("experiment", "constraint")
def solver_settings(wildcards):
    """A constraint without its retraining."""
    entry = STUDY.constraint(wildcards.experiment, wildcards.constraint)
    return {key: value for key, value in entry.items() if key != "retrain_epochs"}


@once_for("experiment", "objective", "constraint")
def prune_settings(wildcards):
    return {**train_settings(wildcards), "constraint": solver_settings(wildcards)}


@once_for("experiment", "objective", "constraint")
def retrain_settings(wildcards):
    epochs = STUDY.constraint(wildcards.experiment, wildcards.constraint)["retrain_epochs"]
    return {**train_settings(wildcards), "retrain_epochs": epochs}


@once_for("experiment", "objective", "constraint")
def release_settings(wildcards):
    base = settings_of(wildcards)["model"]
    return {**network_settings(wildcards), "base": base, "constraint": solver_settings(wildcards)}


#: Probes that finished models answer. The others are recorded while models train.
ASKED = [probe for probe in STUDY["probes"] if not STUDY.is_recorded(probe)]


@once_for("experiment", "objective")
def trained_trace_epochs(wildcards):
    return STUDY.trace_epochs(wildcards.experiment, wildcards.objective)


@once_for("experiment", "objective", "constraint")
def retrained_trace_epochs(wildcards):
    return STUDY.trace_epochs(wildcards.experiment, wildcards.objective, wildcards.constraint)


def if_traced(**entries):
    """Outputs or parameters of a rule that records losses; none if no attack needs the losses."""
    return entries if STUDY.has_traces else {}


def fit_code(script, *names):
    """A params function: the digest of a script with the model, the objective and, if it is among the names, the constraint."""

    @once_for("experiment", "objective", *names)
    def digest(wildcards):
        used = [
            STUDY.model_plug_in(wildcards.experiment, wildcards.objective),
            *STUDY.plug_ins("objectives", wildcards.objective, wildcards.experiment),
        ]
        if script == "measure_release.py":
            used.append(STUDY.base_plug_in(wildcards.experiment))
        if "constraint" in names:
            used += STUDY.plug_ins("constraints", wildcards.constraint, wildcards.experiment)
        return code_of(script, *used)

    return digest


def batch_names(experiment):
    return [f"{role}_{batch}" for role in ("targets", "shadows") for batch in range(n_batches(experiment, role))]


def finished_folder(experiment, constraint):
    """Where the finished models of a constraint lie, below the objective's folder."""
    return "trained" if STUDY.is_dense(experiment, constraint) else f"{constraint}/retrained"


def batch_files(wildcards, folder, suffix="safetensors"):
    """The files of all models of an objective's folder."""
    folder = f"{RUN}/{{objective}}/{folder}".format(**wildcards)
    return [f"{folder}/{batch}.{suffix}" for batch in batch_names(wildcards.experiment)]


@signed
def traces(wildcards):
    """The losses that were recorded while the finished models were trained or retrained."""
    folder = finished_folder(wildcards.experiment, wildcards.constraint)
    return batch_files(wildcards, folder, "trace.npy")


@signed
def finished_models(wildcards):
    return batch_files(wildcards, finished_folder(wildcards.experiment, wildcards.constraint))


# --- attacks and evaluation -------------------------------------------------------------------------------------------


@signed
def shadow_signals(wildcards):
    return f"{shadow_folder(wildcards)}/signals.npy"


def shadow_folder(wildcards):
    """Adaptive: shadows of the target's own defence. Dense shadows: the baseline's.

    Generated shadows: of the target's own defence, in the derived experiment.
    """
    where = dict(wildcards.items())
    if wildcards.attacker == "dense_shadows":
        where |= STUDY["defences"][BASELINE]
    if wildcards.attacker == GENERATED_SHADOWS:
        where["experiment"] = derived_name(wildcards.experiment)
    return DEFENCE.format(**where)


@signed
def shadow_split(wildcards):
    """Who trained on what among shadow models that have examples of their own."""
    if wildcards.attacker != GENERATED_SHADOWS:
        return []
    where = dict(wildcards.items()) | {"experiment": derived_name(wildcards.experiment)}
    return [f"{RUN}/membership.npz".format(**where)]


@signed
def shadow_data(wildcards):
    """Those examples: description and labels."""
    if wildcards.attacker != GENERATED_SHADOWS:
        return []
    folder = data_folder(derived_name(wildcards.experiment), wildcards.seed)
    return [f"{folder}/dataset.json", f"{folder}/images.npy", f"{folder}/labels.npy"]


@signed
def target_probes(wildcards):
    """What the attack needs to know of the targets beside their logits."""
    return [f"{DEFENCE.format(**wildcards)}/probes/{probe}.npy" for probe in STUDY.probes_of(wildcards.attack)]


@signed
def shadow_probes(wildcards):
    return [f"{shadow_folder(wildcards)}/probes/{probe}.npy" for probe in STUDY.probes_of(wildcards.attack)]


@signed
def dense_signals(wildcards):
    """For who sees both releases: the logits of the dense models of the same objective."""
    dense = STUDY["defences"][BASELINE]["constraint"]
    return [f"{RUN}/{{objective}}/{dense}/signals.npy".format(**wildcards)] if STUDY.sees_dense(wildcards.attack) else []


@once_for("experiment", "objective", "probe")
def probe_code(wildcards):
    probe = registry.find("probe", STUDY["probes"][wildcards.probe]["use"], f"probes.{wildcards.probe}.use")
    model = STUDY.model_plug_in(wildcards.experiment, wildcards.objective)
    objective = STUDY.plug_ins("objectives", wildcards.objective, wildcards.experiment)
    return code_of("probe_models.py", model, *objective, probe)


@once_for("attack", "attacker")
def attack_settings(wildcards):
    """An attack's entry, without what this attacker makes no use of."""
    groups = wildcards.attacker not in ("known_members", GENERATED_SHADOWS)
    unused = {"attackers", "defences"} | (set() if groups else {"targets_per_group"})
    return {key: value for key, value in STUDY["attacks"][wildcards.attack].items() if key not in unused}


@once_for("attack")
def attack_code(wildcards):
    return code_of("run_attack.py", *STUDY.plug_ins("attacks", wildcards.attack))


@once_for("experiment", "objective", "constraint")
def attack_keys(wildcards):
    """Every (attack, attacker) of a defence."""
    defence = STUDY.defence_of(wildcards.objective, wildcards.constraint)
    return [
        (attack, attacker) for attack in STUDY["attacks"] for attacker in STUDY.attackers(attack, wildcards.experiment, defence)
    ]


@signed
def attack_files(wildcards):
    folder = DEFENCE.format(**wildcards)
    return [f"{folder}/attacks/{attack}.{attacker}.npz" for attack, attacker in attack_keys(wildcards)]


#: combinations that a run for a partial report leaves out
LEFT = MISSING.combinations


def over_defences(pattern, **fixed):
    """The pattern of every experiment, seed and defence but those that this run leaves out."""
    return [
        (dict(experiment=experiment, seed=seed, defence=name), pattern.format(**keys))
        for experiment in STUDY["experiments"]
        for seed in STUDY["seeds"]
        for name, pair in STUDY["defences"].items()
        if (experiment, seed, name) not in LEFT
        for keys in [dict(study=STUDY.name, experiment=experiment, seed=seed, **pair, **fixed)]
    ]


#: templates of the report
PAGE_PARTS = ("base.html.j2", "parts.html.j2", "first.html.j2", "report.html.j2", "page.css", "first.css", "page.js")


def page_parts():
    """What the report is put together from: its templates, and the styles and scripts of all pages."""
    parts = [PAGES / "templates" / name for name in PAGE_PARTS]
    return [*parts, *sorted((PAGES / "assets").glob("*.min.*"))]


def reported_datasets():
    """All but those that only experiments have of which nothing is reported."""
    reported = {about["experiment"] for about, _ in over_defences("")}
    lost = {entry["dataset"] for name, entry in STUDY["experiments"].items() if name not in reported}
    kept = {STUDY["experiments"][name]["dataset"] for name in reported}
    return [name for name in STUDY["datasets"] if name not in lost - kept]


def paths(parts):
    return [path for _, path in parts]


def histories():
    """Every training curve: dense training once an objective, then pruning and retraining."""
    parts = {}
    for about, folder in over_defences(f"{RUN}/{{objective}}"):
        pair = STUDY["defences"][about["defence"]]
        stages = {"trained": "train"} if STUDY.starts_dense(about["experiment"], pair["constraint"]) else {}
        if not STUDY.is_dense(about["experiment"], pair["constraint"]):
            stages |= {f"{pair['constraint']}/pruned": "prune", f"{pair['constraint']}/retrained": "retrain"}
        for stage_folder, stage in stages.items():
            for batch in batch_names(about["experiment"]):
                parts[f"{about['defence']} {folder}/{stage_folder}/{batch}.history.csv"] = (
                    {**about, "stage": stage},
                    f"{folder}/{stage_folder}/{batch}.history.csv",
                )
    return list(parts.values())


@signed
def dense_models(wildcards):
    """The batch that pruning starts from, where it starts from trained models."""
    starts_dense = STUDY.starts_dense(wildcards.experiment, wildcards.constraint)
    return f"{RUN}/{{objective}}/trained/{{models}}.safetensors".format(**wildcards) if starts_dense else []


def over_subnetworks(pattern):
    """The pattern of every defence that takes its networks from trained dense ones."""
    return [
        (about, path)
        for about, path in over_defences(pattern)
        if STUDY.takes_subnetworks(about["experiment"], STUDY["defences"][about["defence"]]["constraint"])
    ]


def pruning_tables(table):
    """A table that pruning writes for every batch; a solver without residuals leaves that one empty."""
    return [
        (about, f"{folder}/pruned/{batch}.{table}.csv")
        for about, folder in over_subnetworks(DEFENCE)
        for batch in batch_names(about["experiment"])
    ]
