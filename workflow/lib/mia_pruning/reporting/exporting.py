"""A study's files for a paper, besides its figures.

They are tables as LaTeX and Markdown, its configuration and a record of the run.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mia_pruning import provenance, storage
from mia_pruning.reporting.claims import headline_of
from mia_pruning.reporting.crate import describe_run
from mia_pruning.reporting.jobs import read_records
from mia_pruning.reporting.paper_tables import (
    ATTACK,
    EXPERIMENT,
    attack_table,
    defence_table,
    verdict_table,
)
from mia_pruning.reporting.tables import CsvTables
from mia_pruning.reporting.typesetting_tables import as_latex, as_markdown, in_blocks

#: Columns take these shares of the text's width, without a column of experiments and with one.
VERDICT_WIDTHS = {
    7: (0.19, 0.16, 0.09, 0.18, 0.10, 0.095, 0.095),
    8: (0.09, 0.15, 0.13, 0.09, 0.15, 0.09, 0.09, 0.09),
}
#: A LaTeX table of attacks has at most this many columns; further defences follow below.
MOST_COLUMNS = 7
#: The Snakefile lies in this folder.
PROJECT = provenance.LIBRARY.parents[2]
README = """\
# The study {study} of mia-pruning

`report.html` answers whether pruning defended against membership inference here. The tables beside it hold every number,
`export/` what goes into a paper and the code that ran. `docs/RESULTS.md` of the project explains each file and column.

`ro-crate-metadata.json` says which job made which file, when and from what. To check the files against it:

    python -c 'import json; [print(file["sha256"], "", file["@id"])
    for file in json.load(open("ro-crate-metadata.json"))["@graph"]
    if "sha256" in file and file["@id"][0] != "#"]' | sha256sum --check --quiet
"""
#: The record leaves out the job of this rule, which writes it.
OWN_RULE = "export_study"


def export_study(
    tables: Mapping[str, str],
    results: Sequence[str],
    *,
    claims: Mapping[str, Any],
    settings: Mapping[str, Any],
    missing: Sequence[str],
    datasets: Mapping[str, str],
    folder: Path,
    paper: Mapping[str, str],
    study: str,
    readme: str,
    code: str,
    scripts: Mapping[str, str],
    crate: str,
) -> None:
    """Write a study's files for a paper, a copy of the workflow and the record of the run.

    results: files of the study that the record names, besides what is written here: paper, file
    name -> path, and single files; missing: sentences on what the results lack, which each file of
    a table then begins with; datasets: name -> dataset.json; folder: the study's, which is the
    record's root; code: where a copy of the workflow goes; scripts: what each rule of it runs.
    """
    loaded = CsvTables(tables)
    for name, content in paper_files(loaded["verdicts"], loaded["results"], claims).items():
        storage.write_text(paper[name], warning(missing, Path(name).suffix) + content)
    storage.write_text(
        study, yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True, width=120)
    )
    storage.write_text(readme, README.format(**settings))
    copy_workflow(Path(code))
    description = describe_run(
        folder,
        sorted([*results, *paper.values()]),
        study=study,
        readme=readme,
        code=Path(code),
        scripts=scripts,
        settings=settings,
        missing=missing,
        datasets={name: storage.read_json(path) for name, path in datasets.items()},
        records=[record for record in read_records(folder, settings) if record["rule"] != OWN_RULE],
    )
    storage.write_json(crate, description)


def copy_workflow(target: Path) -> None:
    """Copy the code that ran, without the data that it brings along.

    Its licence and the entry lie as in the project.
    """
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info", "resources")
    shutil.copytree(PROJECT / "workflow", target / "workflow", ignore=left_out, dirs_exist_ok=True)
    for name in ("Snakefile", "LICENSE"):
        shutil.copyfile(PROJECT / name, target / name)


def warning(missing: Sequence[str], kind: str) -> str:
    """Return what stands above a table of incomplete results; nothing where they are complete.

    >>> warning(["One is missing."], ".tex"), warning([], ".md")
    ('% One is missing.\\n', '')
    """
    if kind == ".tex":
        return "".join(f"% {sentence}\n" for sentence in missing)
    return "".join(f"> {sentence}\n" for sentence in missing) + ("\n" if missing else "")


def paper_files(
    verdicts: pd.DataFrame, results: pd.DataFrame, claims: Mapping[str, Any]
) -> dict[str, str]:
    """Return the content of each table's file, by its name."""
    judged = verdict_table(verdicts, claims["claims"])
    defences = defence_table(results, headline_of(claims, results))
    attacks = attack_table(results)
    n_names = len({EXPERIMENT, ATTACK} & set(attacks.columns))
    blocks = in_blocks(attacks, n_names, MOST_COLUMNS - n_names)
    return {
        "verdicts.tex": as_latex(judged, VERDICT_WIDTHS[len(judged.columns)]),
        "verdicts.md": as_markdown(judged),
        "defences.tex": as_latex(defences),
        "defences.md": as_markdown(defences),
        "attacks.tex": "\n\\medskip\n".join(as_latex(block) for block in blocks),
        "attacks.md": as_markdown(attacks),
    }
