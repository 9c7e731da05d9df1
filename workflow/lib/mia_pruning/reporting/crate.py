"""A study's run as a research object: what was made, from what, by which software, when. An RO-Crate by the library `rocrate`.

It follows the Process Run Crate profile: one action stands for the run, its jobs' records lie beside their logs. The crate's root
is the study's folder.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

VERSION, PROFILE = "1.1", "https://w3id.org/ro/wfrun/process/0.5"
NAME = "ro-crate-metadata.json"
FORMATS = {
    ".html": "text/html",
    ".csv": "text/csv",
    ".json": "application/json",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
    ".tex": "application/x-tex",
    ".yaml": "application/yaml",
}
LICENCE = (
    "The workflow gives its results no licence: who publishes them chooses one. The software's is MIT; "
    "a data set's is named with it."
)


def describe_run(
    folder: Path,
    results: Sequence[str],
    *,
    study: str,
    settings: Mapping[str, Any],
    missing: Sequence[str],
    datasets: Mapping[str, Mapping[str, Any]],
    records: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The crate's JSON-LD. results and study, the configuration, are paths below the folder; records: of the jobs, any order.

    The same run gives the same text.
    """
    crate = ROCrate(version=VERSION)
    started, ended = _span(records)
    crate.name = f"mia-pruning, study {settings['study']}"
    crate.description = (
        "Does pruning defend a network against membership inference? The report of one study, its tables and its figures. "
        "Models, signals and scores lie beside them, each with a record of how it was made."
    ) + "".join(f" {sentence}" for sentence in missing)
    crate.datePublished = ended
    crate.license = LICENCE
    profile = {"@type": "CreativeWork", "name": "Process Run Crate", "version": PROFILE.rsplit("/", 1)[1]}
    crate.root_dataset["conformsTo"] = crate.add(ContextEntity(crate, PROFILE, properties=profile))
    action = crate.add_action(
        _workflow(crate, records),
        "#run",
        object=[_file(crate, folder, study), *(_dataset(crate, name, about) for name, about in datasets.items())],
        result=[_file(crate, folder, path) for path in results],
        properties={
            "name": f"Run of the study {settings['study']}",
            "description": _where(records),
            "startTime": started,
            "endTime": ended,
        },
    )
    crate.root_dataset["mentions"] = action
    return crate.metadata.generate()


def _span(records: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
    """When the first job began and the last ended; a record of an early version of this project says nothing of it."""
    timed = [record for record in records if "ended" in record]
    return min(record["started"] for record in timed), max(record["ended"] for record in timed)


def _file(crate: ROCrate, folder: Path, path: str) -> Any:
    known = {"name": Path(path).name, "encodingFormat": FORMATS[Path(path).suffix]}
    size = {"contentSize": str((folder / path).stat().st_size)}
    return crate.add_file(folder / path, dest_path=path, properties={**known, **size})


def _dataset(crate: ROCrate, name: str, about: Mapping[str, Any]) -> ContextEntity:
    shape = " x ".join(map(str, about["image_shape"]))
    properties = {
        "@type": "Dataset",
        "name": about["name"],
        "description": f"{about['n_examples']:,} images of {shape}, {len(about['class_names'])} classes",
        "license": about["licence"],
        "citation": about["citation"],
        "identifier": [f"{file} sha256:{digest}" for file, digest in sorted(about["files"].items()) if digest],
    }
    return crate.add(ContextEntity(crate, f"#dataset-{name}", properties={key: v for key, v in properties.items() if v}))


def _workflow(crate: ROCrate, records: Iterable[Mapping[str, Any]]) -> ContextEntity:
    commits = sorted({record["commit"] for record in records if record["commit"]})
    changed = any(record["dirty"] for record in records)
    packages = {("python", record["python"]) for record in records}
    packages |= {each for record in records for each in record["packages"].items() if each[1]}
    properties = {
        "@type": ["SoftwareSourceCode", "ComputationalWorkflow"],
        "name": "mia-pruning",
        "description": "A Snakemake workflow from raw data to verdicts; its entry is the file Snakefile"
        + (", here with changes that are in no commit." if changed else "."),
        "license": "https://spdx.org/licenses/MIT",
        "programmingLanguage": {"@id": "#snakemake"},
    }
    if commits:
        properties["version"] = commits[0] if len(commits) == 1 else commits
    language = {"@type": "ComputerLanguage", "name": "Snakemake", "url": {"@id": "https://snakemake.github.io"}}
    crate.add(ContextEntity(crate, "#snakemake", properties=language))
    workflow = crate.add(ContextEntity(crate, "#workflow", properties=properties))
    workflow["softwareRequirements"] = [_package(crate, *package) for package in sorted(packages)]
    return workflow


def _package(crate: ROCrate, name: str, version: str) -> ContextEntity:
    about = {"@type": "SoftwareApplication", "name": name, "softwareVersion": version}
    return crate.add(ContextEntity(crate, f"#{name}-{version}", properties=about))


def _where(records: Sequence[Mapping[str, Any]]) -> str:
    processors = ", ".join(sorted({record["cpu"] for record in records}))
    return f"{len(records):,} jobs on {processors}; each has a record beside its log, in the folders `logs`."
