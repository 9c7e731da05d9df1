"""A study's run as a research object: what was made, from what, by which software, when.

It is an RO-Crate, made by the library `rocrate`. It follows the profile Provenance Run Crate, and
so those of Workflow Run, Process Run and Workflow RO-Crate: one action stands for the run, one for
each job (`crate_jobs`). The crate's root is the study's folder. A step has one tool, so the
profile's optional control actions would repeat each job's action and are left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from mia_pruning.reporting.crate_jobs import Files, add_job, add_steps, compact

#: The profiles below extend this version of RO-Crate.
VERSION = "1.1"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
#: This context has the word `sha256` and those of the run profiles.
CONTEXT = "https://w3id.org/ro/terms/workflow-run/context"
#: The main file of a workflow complies with this profile.
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
NAME = "ro-crate-metadata.json"
#: The workflow's entry and its scripts lie here below the copy of its code.
ENTRY, SCRIPTS = "Snakefile", "workflow/scripts"
LICENCE = (
    "The workflow gives its results no licence: who publishes them chooses one. The software's is MIT; "
    "a data set's is named with it."
)


def describe_run(
    folder: Path,
    results: Sequence[str],
    *,
    study: str,
    readme: str,
    code: Path,
    scripts: Mapping[str, str],
    settings: Mapping[str, Any],
    missing: Sequence[str],
    datasets: Mapping[str, Mapping[str, Any]],
    records: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the crate's JSON-LD; the same run gives the same text.

    Below the folder are results, readme, study (the configuration) and code (the copy of the
    workflow). scripts: what each rule runs; records: those of the jobs, in any order.
    """
    crate = ROCrate(version=VERSION)
    crate.metadata.extra_contexts.append(CONTEXT)
    files = Files(crate, folder, records)
    started, ended = _span(records)
    _describe_root(crate, settings, missing, ended)
    files.add(readme, about=crate.root_dataset)
    workflow = _workflow(crate, files, code, records)
    tools = add_steps(crate, workflow, code / SCRIPTS, scripts, records, files)
    given = [files[study], *(_dataset(crate, name, about) for name, about in datasets.items())]
    made = [files[path] for path in results]
    _declare(crate, workflow, given, made)
    run = crate.add_action(
        workflow,
        "#run",
        object=compact(given),
        result=compact(made),
        properties={
            "name": f"Run of the study {settings['study']}",
            "description": _where(records),
            "startTime": started,
            "endTime": ended,
        },
    )
    jobs = [add_job(crate, record, tools[record["rule"]], files) for record in records]
    crate.root_dataset["mentions"] = [run, *jobs]
    return crate.metadata.generate()


def _describe_root(
    crate: ROCrate, settings: Mapping[str, Any], missing: Sequence[str], ended: str
) -> None:
    crate.name = f"mia-pruning, study {settings['study']}"
    crate.description = (
        "Does pruning defend a network against membership inference? The report of one study, its tables and its figures. "
        "Models, signals and scores lie beside them, each with a record of how it was made."
    ) + "".join(f" {sentence}" for sentence in missing)
    crate.datePublished = ended
    licence = {
        "@type": "CreativeWork",
        "name": "no licence for the results",
        "description": LICENCE,
    }
    crate.license = crate.add(ContextEntity(crate, "#licence", properties=licence))
    crate.root_dataset["conformsTo"] = [_profile(crate, *each) for each in PROFILES.items()]


def _profile(crate: ROCrate, uri: str, name: str) -> ContextEntity:
    about = {"@type": "CreativeWork", "name": name, "version": uri.rsplit("/", 1)[1]}
    return crate.add(ContextEntity(crate, uri, properties=about))


def _declare(crate: ROCrate, workflow: Any, given: Sequence[Any], made: Sequence[Any]) -> None:
    """Declare what the workflow takes and makes as its parameters.

    These are the configuration, data sets, tables and pages.
    """
    study, *datasets = given
    parameters = {
        "input": {"study": ("File", [study]), "datasets": ("Dataset", datasets)},
        "output": {"results": ("File", made)},
    }
    for role, declared in parameters.items():
        workflow[role] = compact(
            [_parameter(crate, name, *each) for name, each in declared.items()]
        )


def _parameter(crate: ROCrate, name: str, kind: str, examples: Sequence[Any]) -> ContextEntity:
    about = {"@type": "FormalParameter", "name": name, "additionalType": kind}
    parameter = crate.add(ContextEntity(crate, f"#parameter-{name}", properties=about))
    parameter["workExample"] = compact(examples)
    for example in examples:
        example["exampleOfWork"] = parameter
    return parameter


def _span(records: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
    """Return when the first job began and the last ended.

    Records of an early version of this project say nothing of it.
    """
    timed = [record for record in records if "ended" in record]
    return min(record["started"] for record in timed), max(record["ended"] for record in timed)


def _dataset(crate: ROCrate, name: str, about: Mapping[str, Any]) -> ContextEntity:
    shape = " x ".join(map(str, about["image_shape"]))
    digests = [
        f"{file} sha256:{digest}" for file, digest in sorted(about["files"].items()) if digest
    ]
    properties = {
        "@type": "Dataset",
        "name": about["name"],
        "description": f"{about['n_examples']:,} images of {shape}, {len(about['class_names'])} classes",
        "license": about["licence"],
        "citation": about["citation"],
        "identifier": compact(digests) if digests else None,
    }
    return crate.add(
        ContextEntity(
            crate, f"#dataset-{name}", properties={key: v for key, v in properties.items() if v}
        )
    )


def _workflow(
    crate: ROCrate, files: Files, code: Path, records: Sequence[Mapping[str, Any]]
) -> Any:
    """Return the workflow's entry, added as the crate's main entity.

    The folder with all of its code is added besides.
    """
    crate.add_dataset(
        code,
        dest_path=str(code.relative_to(files.folder)),
        properties={"name": "code of the workflow"},
    )
    commits = sorted({record["commit"] for record in records if record["commit"]})
    changed = any(record["dirty"] for record in records)
    properties = {
        **files.known(str(code / ENTRY)),
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        "name": "mia-pruning",
        "description": "A Snakemake workflow from raw data to verdicts; this file is its entry"
        + (", here with changes that are in no commit." if changed else "."),
        "encodingFormat": "text/plain",
        "license": "https://spdx.org/licenses/MIT",
        "conformsTo": {"@id": BIOSCHEMAS},
    }
    if commits:
        properties["version"] = compact(commits)
    entry = str((code / ENTRY).relative_to(files.folder))
    workflow = crate.add_workflow(
        code / ENTRY, entry, properties=properties, main=True, lang="snakemake"
    )
    workflow["softwareRequirements"] = [_package(crate, *package) for package in _packages(records)]
    return workflow


def _packages(records: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """List name and version of all software that the jobs ran on."""
    packages = {("python", record["python"]) for record in records}
    return sorted(
        packages | {each for record in records for each in record["packages"].items() if each[1]}
    )


def _package(crate: ROCrate, name: str, version: str) -> ContextEntity:
    python = f"https://www.python.org/ftp/python/{version}/"
    url = python if name == "python" else f"https://pypi.org/project/{name}/{version}/"
    about = {"@type": "SoftwareApplication", "name": name, "softwareVersion": version, "url": url}
    return crate.add(ContextEntity(crate, url, properties=about))


def _where(records: Sequence[Mapping[str, Any]]) -> str:
    processors = ", ".join(sorted({record["cpu"] for record in records}))
    return f"{len(records):,} jobs on {processors}; each has a record beside its log, in the folders `logs`."
