"""What a study leaves for a paper: planted tables give known text, whatever a name holds is printed as it is, figures fit."""

import re
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml
from rocrate.rocrate import ROCrate

from mia_pruning import provenance, storage
from mia_pruning.reporting import drawing, style
from mia_pruning.reporting.exporting import PROJECT, export_study, paper_files
from mia_pruning.reporting.paper_tables import attack_table, defence_table, verdict_table
from mia_pruning.reporting.tables import Drawing
from mia_pruning.reporting.typesetting import COLUMN, PAGE, fit_to_paper_
from mia_pruning.reporting.typesetting_tables import as_latex, as_markdown, in_blocks
from mia_pruning.traits import FigureTraits

HEADLINE = {"attack": "net", "attacker": "adaptive"}
NO_ATTACK = {"attack": "", "attacker": ""}
STRONGEST = {"attack": "strongest", "attacker": "any"}
CLAIMS = [
    {"id": "C1", "statement": "It helps.", "published": "by up to 13.6 %"},
    {"id": "C2", "statement": "It is small.", "published": "in words"},
    {"id": "C3", "statement": "It beats x.", "published": "a_b"},
]
SETTINGS = {"study": "mini", "seeds": [0], "experiments": {"e": {}}, "defences": {}, "attacks": {}}
NASTY = "50%_&$#{a}~^\\|*`<b>[c]"


def result(defence, metric, value, attack=NO_ATTACK, spread=0.01, experiment="lenet5_mnist"):
    """A row of results.csv; without a spread it is counted."""
    ends = (
        {"low": np.nan, "high": np.nan}
        if spread is None
        else {"low": value - spread, "high": value + spread}
    )
    return {
        "experiment": experiment,
        "defence": defence,
        "metric": metric,
        "value": value,
        **ends,
        **attack,
    }


@pytest.fixture
def results():
    """Two defences; the second was not attacked by the strongest, and only the first at a low rate."""
    return pd.DataFrame(
        [
            result("baseline", "test_accuracy", 0.8),
            result("baseline", "attack_accuracy", 0.6, HEADLINE),
            result("baseline", "attack_accuracy", 0.7, STRONGEST),
            result("baseline", "auc", 0.65, HEADLINE),
            result("baseline", "tpr_at_10_percent_fpr", 0.2, HEADLINE),
            result("baseline", "tpr_at_1_percent_fpr", 0.05, HEADLINE),
            result("baseline", "compression", 1.0, spread=None),
            result("baseline", "sparse_bytes", 1_725_872.0, spread=None),
            result("mia_pruning", "test_accuracy", 0.75),
            result("mia_pruning", "attack_accuracy", 0.55, HEADLINE),
            result("mia_pruning", "compression", 15.78, spread=None),
        ]
    )


def verdict(claim, found, **changes):
    row = {
        "claim": claim, "experiment": "lenet5_mnist", "defence": "mia_pruning", **HEADLINE, "verdict": found, "corrected": found,
        "reason": "", "metric": "attack_accuracy", "minus": "baseline", "direction": "below", "threshold": 0.0,
        "value": -0.027, "low": -0.035, "high": -0.019, "headline": True,
    }  # fmt: skip
    return {**row, **changes}


@pytest.fixture
def verdicts():
    """C1 by the headline attack and by the strongest; C2 by no attack; C3 not tested."""
    nothing = {
        **dict.fromkeys(("value", "low", "high", "threshold"), np.nan),
        "metric": "",
        "minus": "",
        "direction": "",
    }
    return pd.DataFrame(
        [
            verdict("C1", "supported"),
            verdict("C1", "supported", **STRONGEST, corrected="inconclusive", headline=False),
            verdict(
                "C2",
                "refuted",
                **NO_ATTACK,
                metric="compression",
                minus="",
                value=9.5,
                low=9.5,
                high=9.5,
            ),
            verdict(
                "C3",
                "not tested",
                **NO_ATTACK,
                **nothing,
                reason="the study has no defence named dp_sgd",
            ),
        ]
    )


def test_verdicts_are_a_row_a_claim_by_the_headline_attack_with_what_the_strongest_makes_of_it(
    verdicts,
):
    rows = verdict_table(verdicts, CLAIMS).to_dict("records")
    assert rows[0] == {
        "claim": "C1: It helps.",
        "published": "by up to 13.6 %",
        "defence": "mia pruning",
        "measured": "attack accuracy minus that of baseline: -2.7 points (-3.5 to -1.9)",
        "attack": "net (adaptive)",
        "verdict": "supported",
        "strongest attack, corrected": "inconclusive",
    }
    assert (rows[1]["measured"], rows[1]["attack"], rows[1]["strongest attack, corrected"]) == (
        "compression: 9.5",
        "–",
        "refuted",
    )
    assert (rows[2]["measured"], rows[2]["verdict"]) == (
        "the study has no defence named dp_sgd",
        "not tested",
    )


def test_an_attack_that_the_strongest_is_not_known_for_is_a_dash(verdicts):
    table = verdict_table(verdicts[verdicts["attack"] != "strongest"], CLAIMS)
    assert table["strongest attack, corrected"].tolist() == ["–", "refuted", "not tested"]


def test_defences_are_a_row_each_and_what_was_not_tried_is_a_dash(results):
    assert as_markdown(defence_table(results, HEADLINE)).splitlines() == [
        "| defence     | test accuracy          | attack accuracy, net   | attack accuracy, strongest   "
        "| AUC, net               | TPR at 1 % FPR, net    | compression   | bytes, sparse   |",
        "|:------------|:-----------------------|:-----------------------|:-----------------------------"
        "|:-----------------------|:-----------------------|:--------------|:----------------|",
        "| baseline    | 0.800 (0.790 to 0.810) | 0.600 (0.590 to 0.610) | 0.700 (0.690 to 0.710)       "
        "| 0.650 (0.640 to 0.660) | 0.050 (0.040 to 0.060) | 1             | 1,725,872       |",
        "| mia pruning | 0.750 (0.740 to 0.760) | 0.550 (0.540 to 0.560) | –                            "
        "| –                      | –                      | 15.78         | –               |",
    ]


def test_attacks_are_rows_with_the_strongest_first_and_a_column_a_defence(results):
    table = attack_table(results)
    assert table["Attack"].tolist() == ["strongest (any)", "net (adaptive)"]
    assert table["mia pruning"].tolist() == ["–", "0.550 (0.540 to 0.560)"]


def test_a_defence_may_be_called_as_a_column_is(results):
    named = results.replace({"defence": {"mia_pruning": "attack"}})
    table = attack_table(
        pd.concat(
            [
                named,
                named.assign(experiment="vgg16_cifar10").replace(
                    {"defence": {"attack": "experiment"}}
                ),
            ]
        )
    )
    assert list(table.columns) == ["Experiment", "Attack", "baseline", "attack", "experiment"]


def test_experiments_have_a_column_where_there_are_several(results):
    both = pd.concat([results, results.assign(experiment="vgg16_cifar10")])
    assert "experiment" not in defence_table(results, HEADLINE)
    assert (
        defence_table(both, HEADLINE)["experiment"].tolist()
        == ["lenet5 mnist"] * 2 + ["vgg16 cifar10"] * 2
    )
    assert attack_table(both)["Experiment"].tolist() == ["lenet5 mnist"] * 2 + ["vgg16 cifar10"] * 2


def test_tables_of_a_study_whose_attacks_all_failed_are_dashes(results, verdicts):
    left = results[results["attack"] == ""]
    assert set(defence_table(left, HEADLINE)["attack accuracy, net"]) == {"–"}
    assert attack_table(left).empty
    files = paper_files(verdicts, left, {"headline": HEADLINE, "claims": CLAIMS})
    assert all(r"\toprule" in text for name, text in files.items() if name.endswith(".tex"))


def test_a_cell_without_a_number_is_a_dash(results):
    results.loc[results["metric"] == "auc", ["value", "low", "high"]] = np.nan
    assert set(defence_table(results, HEADLINE)["AUC, net"]) == {"–"}


def test_latex_has_rules_and_an_interval_below_its_value():
    table = pd.DataFrame(
        {"defence": ["baseline"], "change": ["-2.7 points (-3.5 to -1.9)"], "bytes": ["61,512"]}
    )
    body = as_latex(table).split("%\n")[-1]
    assert body.splitlines() == [
        r"\begin{tabular}{@{}lcc@{}}",
        r"\toprule",
        r"\head{defence} & \head{change} & \head{bytes} \\",
        r"\midrule",
        r"baseline & \stacked{c}{$-$2.7 points}{$-$3.5 to $-$1.9} & 61,512 \\",
        r"\bottomrule",
        r"\end{tabular}}",
    ]


def test_every_sign_of_a_name_stands_for_itself_in_latex():
    text = as_latex(pd.DataFrame({NASTY: [NASTY]})).split("%\n")[-1]
    escaped = r"50\%\_\&\$\#\{a\}\textasciitilde \textasciicircum \textbackslash $|$*`$<$b$>$[c]"
    assert f"\\midrule\n{escaped} \\\\" in text
    head = re.search(r"\\head\{(.*)\} \\\\", text)[1]
    assert head.replace(r"\\", " ") == escaped


def test_every_sign_of_a_name_stands_for_itself_in_markdown():
    head, _, row = as_markdown(pd.DataFrame({"a|b": [NASTY]})).splitlines()
    assert head.startswith(r"| a\|b ")
    assert row == r"| 50%\_&$#{a}\~^\\\|\*\`\<b\>\[c\] |"


def test_a_wide_table_is_cut_into_blocks_that_repeat_its_names():
    blocks = in_blocks(pd.DataFrame([list("xabc")], columns=list("xabc")), 1, 2)
    assert [list(block) for block in blocks] == [["x", "a", "b"], ["x", "c"]]


# --- figures ------------------------------------------------------------------------------------------------------


def panels(n_rows, n_columns, legends=True):
    """A figure made for the page: wide, with each legend beside its panel."""
    drawn, axes = plt.subplots(n_rows, n_columns, figsize=(12, 4), squeeze=False, sharey="row")
    for axis in axes.flat:
        axis.plot([1, 2], [1, 2], label="a defence of a long name")
        axis.plot([1, 2], [2, 1], label="another")
        if legends:
            axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes[0][0].set_ylabel(
        "what is measured, in words that are much longer than a panel of a paper is high, and then some"
    )
    return drawn


@pytest.fixture
def printed(monkeypatch, tmp_path):
    """A function that draws and writes a figure for print, and gives the bytes of its PDF and its SVG."""

    def write(n_rows, n_columns, name="first"):
        def draw(tables, headline):
            return Drawing(panels(n_rows, n_columns), pd.DataFrame({"a": [1]}), "found", "shown")

        plug_in = SimpleNamespace(traits=FigureTraits(), load=lambda: draw)
        monkeypatch.setattr(drawing, "catalogue", lambda kind: {"planted": plug_in})
        pd.DataFrame([result("baseline", "attack_accuracy", 0.6, HEADLINE)]).to_csv(
            tmp_path / "results.csv", index=False
        )
        paths = {
            "svg": "page.svg",
            "table": "t.csv",
            "words": "w.json",
            "print_svg": "p.svg",
            "print_pdf": "p.pdf",
        }
        paths = {kind: str(tmp_path / name / path) for kind, path in paths.items()}
        drawing.draw_figure(
            "planted", {"results": str(tmp_path / "results.csv")}, HEADLINE, **paths
        )
        return (tmp_path / name / "p.pdf").read_bytes(), (tmp_path / name / "p.svg").read_bytes()

    yield write
    plt.rcdefaults()


@pytest.mark.parametrize(
    ("grid", "inches"), [((1, 1), COLUMN), ((1, 2), COLUMN), ((1, 3), PAGE), ((2, 2), PAGE)]
)
def test_printed_figures_are_as_wide_as_a_column_or_the_page_with_fonts_inside_and_no_date(
    printed, grid, inches
):
    pdf, svg = printed(*grid)
    width = float(re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) [\d.]+ ?\]", pdf)[1])
    assert width == pytest.approx(72 * inches, abs=0.1)
    assert b"/FontFile2" in pdf
    assert b"Type3" not in pdf
    assert b"CreationDate" not in pdf
    assert f'width="{72 * inches:g}pt"'.encode() in svg
    assert b"<text" not in svg  # glyphs as paths need no font
    assert b"<dc:date>" not in svg


def test_printed_figures_have_the_same_bytes_each_time(printed):
    assert printed(1, 2, "first") == printed(1, 2, "second")


@pytest.mark.parametrize("grid", [(1, 1), (1, 2), (3, 2)])
def test_nothing_of_a_printed_figure_is_cut_off_and_one_legend_serves_all_panels(grid):
    style.apply_for_print()
    drawn = panels(*grid)
    fit_to_paper_(drawn)
    drawn.draw_without_rendering()
    whole, inked = drawn.bbox, drawn.get_tightbbox().transformed(drawn.dpi_scale_trans)
    assert whole.x0 - 1 <= inked.x0 <= inked.x1 <= whole.x1 + 1
    assert whole.y0 - 1 <= inked.y0 <= inked.y1 <= whole.y1 + 1
    (legend,) = drawn.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "a defence of a long name",
        "another",
    ]
    assert not any(axis.get_legend() for axis in drawn.axes)
    tops = [axis.get_tightbbox().y0 for axis in drawn.axes]
    assert legend.get_window_extent().y1 <= min(tops) + 1
    plt.close(drawn)
    plt.rcdefaults()


# --- the record ---------------------------------------------------------------------------------------------------


def job_record(rule, started, ended, **changes):
    made = {"commit": "c0ffee", "dirty": False, "python": "3.11.7", "cpu": "a processor"}
    return {
        "rule": rule,
        "wildcards": {"study": "mini"},
        "inputs": {},
        "packages": {"torch": "2.14.1", "absent": None},
        "started": started,
        "ended": ended,
        **made,
        **changes,
    }


@pytest.fixture
def exported(results, verdicts, tmp_path):
    """The folder of a study after its export; a function does it again."""
    folder = tmp_path / "mini"
    for name, table in {"results": results, "verdicts": verdicts}.items():
        storage.write_text(folder / f"{name}.csv", table.to_csv(index=False))
    storage.write_text(folder / "report.html", "<html></html>")
    about = {
        "name": "Tiny",
        "licence": "MIT",
        "citation": "A paper",
        "n_examples": 10_000,
        "image_shape": [28, 28, 1],
    }
    storage.write_json(
        tmp_path / "tiny" / "dataset.json",
        {**about, "class_names": ["a", "b"], "files": {"t.gz": "abc"}},
    )
    model, report = str(folder / "model.safetensors"), str(folder / "report.html")
    storage.write_text(model, "weights")
    trained = job_record("train_targets", "2026-01-01T10:00:00+00:00", "2026-01-01T10:05:00+00:00")
    reported = job_record("write_report", "2026-01-01T10:06:00+00:00", "2026-01-01T10:07:00+00:00")
    weights, page = (provenance.file_digest(path) for path in (model, report))
    trained |= {"inputs": {"results/data/tiny/images.npy": "d1"}, "outputs": {model: weights}}
    reported |= {"inputs": {model: weights, "report/claims.yaml": "d3"}, "outputs": {report: page}}
    for record in (trained, reported):
        storage.write_json(folder / "logs" / f"{record['rule']}.provenance.json", record)
    tables = {name: str(folder / f"{name}.csv") for name in ("results", "verdicts")}
    paper = [
        f"{name}.{kind}" for name in ("verdicts", "defences", "attacks") for kind in ("tex", "md")
    ]

    def export():
        export_study(
            tables,
            [*tables.values(), str(folder / "report.html")],
            claims={"headline": HEADLINE, "claims": CLAIMS},
            missing=["One <is> missing."],
            settings=SETTINGS,
            datasets={"tiny": str(tmp_path / "tiny" / "dataset.json")},
            folder=folder,
            paper={name: str(folder / "export" / name) for name in paper},
            study=str(folder / "export" / "study.yaml"),
            readme=str(folder / "README.md"),
            code=str(folder / "export" / "workflow"),
            scripts={
                "train_targets": "train_models.py",
                "train_shadows": "train_models.py",
                "write_report": "write_report.py",
            },
            crate=str(folder / "ro-crate-metadata.json"),
        )
        return folder

    export.folder = export()
    return export


def test_the_record_is_read_by_its_library_and_each_file_that_it_lists_is_there(exported):
    folder = exported.folder
    listed = {entity.id for entity in ROCrate(folder).data_entities}
    assert all((folder / name).exists() for name in listed)
    made = {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "logs" not in path.parts
    }
    code = {name for name in made if name.startswith("export/workflow/")}
    assert listed - code - {"export/workflow/"} == made - code - {"ro-crate-metadata.json"}
    scripts = {
        f"export/workflow/workflow/scripts/{name}.py" for name in ("train_models", "write_report")
    }
    assert listed & code == {"export/workflow/Snakefile", *scripts}
    assert (
        yaml.safe_load((folder / "export" / "study.yaml").read_text(encoding="utf-8")) == SETTINGS
    )


def test_tables_and_record_say_what_is_missing(exported):
    folder = exported.folder
    assert (
        (folder / "export" / "verdicts.tex")
        .read_text(encoding="utf-8")
        .startswith("% One <is> missing.\n")
    )
    assert (
        (folder / "export" / "verdicts.md")
        .read_text(encoding="utf-8")
        .startswith("> One <is> missing.\n\n")
    )
    assert ROCrate(folder).description.endswith(" One <is> missing.")


def test_the_record_says_when_by_what_and_from_what(exported):
    crate = ROCrate(exported.folder)
    run, workflow = crate.get("#run"), crate.mainEntity
    assert (run["startTime"], run["endTime"]) == (
        "2026-01-01T10:00:00+00:00",
        "2026-01-01T10:07:00+00:00",
    )
    assert crate.root_dataset["datePublished"] == run["endTime"]
    assert (run["instrument"], workflow["version"]) == (workflow, "c0ffee")
    software = {each["name"]: each["softwareVersion"] for each in workflow["softwareRequirements"]}
    assert software == {"python": "3.11.7", "torch": "2.14.1"}
    assert {entity.id for entity in run["object"]} == {"export/study.yaml", "#dataset-tiny"}
    assert (crate.get("#dataset-tiny")["license"], crate.get("#dataset-tiny")["name"]) == (
        "MIT",
        "Tiny",
    )


def test_each_job_is_an_action_with_its_times_and_what_it_read_and_made(exported):
    crate = ROCrate(exported.folder)
    job = crate.get("#job-logs/write_report")
    assert (job["startTime"], job["endTime"]) == (
        "2026-01-01T10:06:00+00:00",
        "2026-01-01T10:07:00+00:00",
    )
    assert job["instrument"].id == "export/workflow/workflow/scripts/write_report.py"
    assert {entity.id for entity in job["object"]} == {
        "model.safetensors",
        "#file-report/claims.yaml",
    }
    weights = provenance.file_digest(exported.folder / "model.safetensors")
    assert {entity["sha256"] for entity in job["object"]} == {weights, "d3"}
    assert crate.get("#job-logs/train_targets")["result"] == crate.get("model.safetensors")
    assert job in crate.root_dataset["mentions"]


def test_steps_are_the_rules_that_ran_in_the_order_in_which_they_began_each_with_its_script(
    exported,
):
    steps = ROCrate(exported.folder).mainEntity["step"]
    assert [(step["position"], step["name"]) for step in steps] == [
        (1, "train_targets"),
        (2, "write_report"),
    ]
    assert [step["workExample"]["name"] for step in steps] == ["train_models.py", "write_report.py"]


def test_a_file_without_a_digest_in_any_record_gets_that_of_what_lies_there(exported):
    table = exported.folder / "results.csv"
    assert ROCrate(exported.folder).get("results.csv")["sha256"] == provenance.file_digest(table)


def test_the_record_of_jobs_from_before_outputs_and_times_were_recorded_can_be_read(exported):
    record = job_record("train_targets", "", "")
    record = {key: value for key, value in record.items() if key not in ("started", "ended")}
    storage.write_json(exported.folder / "logs" / "old.provenance.json", record)
    old = ROCrate(exported()).get("#job-logs/old")
    assert (old.get("startTime"), old.get("result")) == (None, None)


def test_the_command_in_the_folders_readme_finds_the_file_that_was_changed(exported):
    (command,) = re.findall(
        r"^    python -c .*?--quiet$",
        (exported.folder / "README.md").read_text("utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    command = command.replace("\n    ", "\n").strip().replace("python", sys.executable, 1)
    check = partial(
        subprocess.run, command, shell=True, cwd=exported.folder, capture_output=True, text=True
    )
    assert (check().returncode, check().stdout) == (0, "")
    (exported.folder / "model.safetensors").write_text("other")
    assert (check().returncode, check().stdout) == (1, "model.safetensors: FAILED\n")


def test_the_code_that_ran_lies_beside_the_record_with_its_licence(exported):
    code = exported.folder / "export" / "workflow"
    for name in (
        "Snakefile",
        "LICENSE",
        "workflow/rules/common.smk",
        "workflow/lib/mia_pruning/reporting/crate.py",
    ):
        assert (code / name).read_bytes() == (PROJECT / name).read_bytes()
    assert not [path for path in code.rglob("*") if path.name in ("__pycache__", "resources")]


#: what the profile recommends and the workflow cannot know: who ran and publishes it and where the code is on the web; and what
#: contradicts another profile, by which the main workflow is a file of the crate
UNKNOWN = {
    "The Action SHOULD have an agent that is a Person or Organization",
    "The Root Data Entity SHOULD have a link to a Contextual Entity representing the `author` of the RO-Crate",
    "The `publisher` property of a `Root Data Entity` SHOULD be an `Organization`",
    "The Application SHOULD have a url",
    "The SoftwareApplication id SHOULD be an absolute URI",
}


def test_the_record_follows_its_profile_but_for_what_the_workflow_cannot_know(
    exported, crate_issues
):
    assert crate_issues(exported.folder, "RECOMMENDED") == UNKNOWN  # of which nothing is required


def test_the_validator_finds_a_step_without_a_tool(exported, crate_issues):
    path = exported.folder / "ro-crate-metadata.json"
    crate = storage.read_json(path)
    for entity in crate["@graph"]:
        entity.pop("workExample", None)
    storage.write_json(path, crate)
    assert crate_issues(exported.folder) == {
        "A HowToStep must refer to its corresponding tool via workExample"
    }


def test_the_record_is_the_same_when_made_again_though_its_own_job_has_left_one_meanwhile(exported):
    path = exported.folder / "ro-crate-metadata.json"
    first = path.read_bytes()
    own = job_record("export_study", "2026-01-01T10:08:00+00:00", "2026-01-01T10:09:00+00:00")
    storage.write_json(exported.folder / "logs" / "export_study.provenance.json", own)
    exported()
    assert path.read_bytes() == first


def test_the_record_leaves_out_what_the_study_no_longer_has(exported):
    gone = {"wildcards": {"study": "mini", "experiment": "another"}, "commit": "beef"}
    record = job_record(
        "train_targets", "2025-01-01T09:00:00+00:00", "2027-01-01T09:01:00+00:00", **gone
    )
    storage.write_json(exported.folder / "another" / "logs" / "train.provenance.json", record)
    crate = ROCrate(exported())
    assert crate.mainEntity["version"] == "c0ffee"
    assert crate.get("#run")["startTime"] == "2026-01-01T10:00:00+00:00"


def test_the_record_owns_up_to_changes_that_no_commit_holds_and_to_several_commits(exported):
    record = job_record(
        "train_targets",
        "2026-01-01T09:00:00+00:00",
        "2026-01-01T09:01:00+00:00",
        commit="beef",
        dirty=True,
    )
    storage.write_json(exported.folder / "logs" / "other.provenance.json", record)
    workflow = ROCrate(exported()).mainEntity
    assert workflow["version"] == ["beef", "c0ffee"]
    assert "changes that are in no commit" in workflow["description"]
