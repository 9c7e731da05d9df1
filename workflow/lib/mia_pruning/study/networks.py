"""Check before the first job that models fit their data and constraints fit their models.

Only building the networks can tell, which needs torch. It is done in a process of its own, and its
approval is kept in a cache.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mia_pruning.modules import module_file
from mia_pruning.provenance import code_digest, fingerprint
from mia_pruning.study.completion import raise_all
from mia_pruning.study.study import Study
from mia_pruning.types import StudyError

LIBRARY = Path(__file__).parents[2]
CHECKER = "mia_pruning.stages.check_networks"


def check_networks(study: Study, cache: Path) -> None:
    """Refuse models that do not fit their data and constraints that do not fit their model.

    cache: folder where approvals are kept.
    """
    questions = _questions(study)
    code = code_digest(*map(module_file, [CHECKER, *_modules(study, questions)]))
    approval = cache / f"networks_{fingerprint([questions, code])}.json"
    if approval.is_file():
        return
    raise_all(StudyError(*parts) for parts in _answers(questions))
    approval.parent.mkdir(parents=True, exist_ok=True)
    approval.write_text("[]\n", encoding="utf-8")


def _answers(questions: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return the problems that a process with torch finds: place, problem and what is allowed."""
    command = [sys.executable, "-m", CHECKER]
    search_path = os.pathsep.join([str(LIBRARY), *filter(None, sys.path)])
    done = subprocess.run(
        command,
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": search_path},
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def _questions(study: Study) -> list[dict[str, Any]]:
    """Return one question for each pair of objective and constraint of each experiment."""
    questions = []
    for experiment in [*study["experiments"], *study.generated]:
        defences = [study["defences"][name] for name in study.defences_of(experiment)]
        pairs = {(pair["objective"], pair["constraint"]) for pair in defences}
        questions += [question(study, experiment, *pair) for pair in sorted(pairs)]
    return questions


def _modules(study: Study, questions: list[dict[str, Any]]) -> list[str]:
    """Return the modules of the plug-ins that the questions are about."""
    modules = set()
    for about in questions:
        experiment, objective = about["experiment"], about["objective"]
        plug_ins = [
            study.model_plug_in(experiment, objective),
            *study.plug_ins("objectives", objective),
            *study.plug_ins("constraints", about["constraint"], experiment),
        ]
        modules |= {plug_in.module for plug_in in plug_ins}
    return sorted(modules)


def question(study: Study, experiment: str, objective: str, constraint: str) -> dict[str, Any]:
    """Return what `stages.check_networks` must know about one defence of one experiment."""
    settings = study.experiment(experiment)
    source = study.sources[settings["dataset"]]
    split, training = settings["split"], study.training(experiment, objective)
    pools = [split["examples"]]
    if split["protocol"] == "disjoint":
        pools.append(split["shadow_examples"])
    plans = [
        {
            "n_members": examples // 2,
            "n_reference": split["reference"],
            "batch_size": training["batch_size"],
            "epochs": training["epochs"],
            "precision": training["precision"],
        }
        for examples in dict.fromkeys(pools)
    ]
    return {
        "experiment": experiment,
        "objective": objective,
        "constraint": constraint,
        "settings": {
            "model": study.model(experiment, objective),
            "objective": study.objective(objective),
            "constraint": study.constraint(experiment, constraint),
        },
        "image_shape": list(source.image_shape),
        "n_classes": len(source.class_names),
        "plans": plans,
    }
