"""The study, its layout and its parameters, and functions by which rules ask for them.

This file has no rules.
"""

import gc
import inspect
import os
import sys
from functools import cache
from pathlib import Path

# Snakemake makes millions of small objects that stay. Looking through them for garbage as often as
# usual takes a tenth of its time.
gc.set_threshold(50_000, 20, 50)

BASE = Path(workflow.basedir)
sys.path.insert(0, str(BASE / "workflow" / "lib"))

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import ExecMode

from mia_pruning import registry
from mia_pruning.operations.gaps import LEFT_OUT, Missing, read_missing
from mia_pruning.operations.resources import plan_of
from mia_pruning.reporting.claims_file import read_claims
from mia_pruning.run_lock import LOCK, take_lock
from mia_pruning.study import layout
from mia_pruning.study.loading import hold, load_study
from mia_pruning.study.names import display_names
from mia_pruning.study.parameters import Parameters, code_of
from mia_pruning.tables import TABLES, gathered, written_by
from mia_pruning.types import StudyError

try:
    STUDY = load_study(
        config,
        files=[Path(file) for file in workflow.configfiles],
        results=Path("results"),
        overrides=workflow.config_settings.config,
        default=BASE / "config.yaml",
    )
    hold(STUDY, begins=workflow.exec_mode == ExecMode.DEFAULT)
    MISSING = read_missing(Path(os.environ[LEFT_OUT])) if LEFT_OUT in os.environ else Missing()
    FOUND_PLAN = plan_of(STUDY, Path("results"))
    FIGURES = registry.names_of("figure")
    if workflow.exec_mode == ExecMode.DEFAULT:  # in a job, a faulty claim would come too late
        read_claims(BASE / "report" / "claims.yaml")
except StudyError as error:
    raise WorkflowError(str(error)) from None

PLANNED_BATCHES = FOUND_PLAN.models_per_job(STUDY) if FOUND_PLAN is not None else {}
LAYOUT = layout.Layout(STUDY, PLANNED_BATCHES, MISSING.combinations)
PARAMETERS = Parameters(STUDY)
NAMES = display_names(STUDY.settings)
#: Finished models answer these probes. Any other probe is recorded while models train.
ASKED_PROBES = [probe for probe in STUDY["probes"] if not STUDY.is_recorded(probe)]
ENVIRONMENT = str(BASE / "envs" / "environment.yaml")
#: This folder holds the parts of the pages. It is relative, so that a project which moves with its
#: results draws nothing again.
PAGES = Path(os.path.relpath(BASE / "report"))
DATASET, RUN, TRAINED, DEFENCE = layout.DATASET, layout.RUN, layout.TRAINED, layout.DEFENCE
RESULTS = layout.STUDY


def signed(function):
    """Return a function with its signature at hand.

    Snakemake looks at the signature for every job, and Python works it out each time.
    """
    function.__signature__ = inspect.signature(function)
    return function


def by_wildcards(method, *given):
    """Return a function of wildcards for a rule, which calls `method`.

    Its arguments are `given` and the wildcards that its further parameters are named after.

    Snakemake asks for every job, of which there may be 100,000. Most answers are the same for all
    seeds and batches, so each is worked out once.
    """
    names = list(inspect.signature(method).parameters)[len(given) :]
    answer = cache(lambda *values: method(*given, *values))
    return signed(lambda wildcards: answer(*(getattr(wildcards, name) for name in names)))


def if_traced(**entries):
    """Return outputs or parameters of a rule that records losses; none if no attack needs them."""
    return entries if STUDY.has_traces else {}


def all_paths(origin, file):
    """Return the files of this name of all defences, subnetworks, prunings or trainings."""
    return [part.path for part in LAYOUT.parts(origin, file)]


def all_about(origin):
    """Return the columns that say what the rows of each of these files are about."""
    return [part.about for part in LAYOUT.parts(origin, "")]


def page_parts():
    """Return the parts of the report: its templates, and the assets of all pages."""
    templates = sorted((PAGES / "templates").iterdir())
    return [*templates, *sorted((PAGES / "assets").glob("*.min.*"))]


# --- requests of jobs --------------------------------------------------------------------------

PLAN = FOUND_PLAN if FOUND_PLAN is not None and FOUND_PLAN.study == STUDY.identity else None
UNPLANNED_MB, UNPLANNED_MINUTES = 2000, 120


def memory_of(rule):
    """Return the megabytes that a job of a rule requests, more with each attempt.

    Without a plan it is a constant, and nobody here measures it.
    """
    if PLAN is None:
        return UNPLANNED_MB
    return signed(lambda wildcards, attempt: PLAN.memory_mb(rule, wildcards.get("experiment"), attempt))


def minutes_of(rule):
    """Return the run time that a job of a rule requests."""
    if PLAN is None:
        return UNPLANNED_MINUTES
    return signed(lambda wildcards, attempt: PLAN.minutes(rule, wildcards.get("experiment"), attempt))


# A dry run and the Snakemake of a job run no hooks, so both work during a run.
onstart:
    try:
        take_lock(LOCK)
    except StudyError as error:
        raise WorkflowError(str(error)) from None
    if PLAN is None and workflow.non_local_exec:
        state = "is not there" if FOUND_PLAN is None else "is of another version of this study"
        raise WorkflowError(
            f"results/{STUDY.name}/plan.json, which says what jobs ask the cluster for, {state}: run "
            "`make plan STUDY=<its file>`, or the study by `make reproduce STUDY=<its file> "
            "PROFILE=<the profile>`, which plans first"
        )
