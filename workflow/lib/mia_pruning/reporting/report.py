"""The page that people read: one HTML file with everything in it."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from mia_pruning import provenance, storage
from mia_pruning.metrics.intervals import CONFIDENCE
from mia_pruning.metrics.operating import TPR_AT
from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.reporting.auditing import audit
from mia_pruning.reporting.claims import headline_of
from mia_pruning.reporting.exposing import exposed_examples, lasting, shown_examples
from mia_pruning.reporting.needs import attack_needs
from mia_pruning.reporting.operating import operating_tables
from mia_pruning.reporting.sentences import answer, measured, number, required, with_interval
from mia_pruning.reporting.style import in_order, readable
from mia_pruning.reporting.tables import CsvTables, attack_order, pick
from mia_pruning.stages.packed import read_packed
from mia_pruning.types import BASELINE

#: of the study, as it reads them
TABLES = (
    "results", "differences", "verdicts", "guarantees", "operating", "projection", "strongest", "failures", "audit", "exposed",
)  # fmt: skip
#: the order of the figures on the page, and each one's heading; others follow under their name
FIGURE_HEADINGS = {
    "trade_off": "The trade-off",
    "attack_by_compression": "Attack accuracy and compression",
    "roc": "Low false-positive rates",
    "confidence": "What the attacker sees",
    "compute": "What it costs to train",
    "training": "Training",
    "divergence": "T1: divergence, gain and the attacks that they allow",
    "gain": "T1: the game as it was played",
    "subnetwork_distance": "T2: is there a subnetwork near the dense network?",
    "residuals": "T3: does ADMM converge?",
}
#: figures that the theory section shows
THEORY = ("divergence", "gain", "subnetwork_distance", "residuals")


def write_report(
    output: str,
    *,
    tables: Mapping[str, str],
    figures: Mapping[str, str],
    claims: Mapping[str, Any],
    settings: Mapping[str, Any],
    missing: Sequence[str],
    datasets: Mapping[str, str],
    benchmarks: Path,
    template: Path,
) -> None:
    """figures: name -> svg, its table and words beside it; datasets: name -> dataset.json; benchmarks: the results' folder.

    missing: sentences on what the results lack because jobs failed, none where they are whole.
    """
    loaded = CsvTables(tables)
    headline = headline_of(claims, loaded["results"])
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["readable"] = readable
    statements = {claim["id"]: claim["statement"] for claim in claims["claims"]}
    page = environment.get_template(template.name).render(
        study=settings["study"],
        answers=answer(loaded["verdicts"], statements),
        claims=[_claim_view(claim, loaded["verdicts"]) for claim in claims["claims"]],
        attackers=_attackers(loaded["verdicts"], headline),
        choices=_choices(loaded["strongest"]),
        failures=loaded["failures"].to_dict("records"),
        missing=missing,
        headline=headline,
        figures=[_figure_view(name, figures[name]) for name in sorted(figures, key=_figure_order) if name not in THEORY],
        theory=[_figure_view(name, figures[name]) for name in THEORY],
        projections=_projection_rows(loaded["projection"]),
        guarantees=_guarantee_rows(loaded["guarantees"]),
        audits=[_audit_view(row) for row in audit(loaded["audit"], loaded["guarantees"], loaded["strongest"])],
        exposures=[
            _exposure_view(loaded["exposed"], name, datasets[entry["dataset"]])
            for name, entry in settings["experiments"].items()
            if not pick(loaded["exposed"], experiment=name, defence=BASELINE).empty
        ],
        overviews=[_overview(loaded["results"], name, headline) for name in in_order(loaded["results"], "experiment")],
        attacks=[_attack_table(loaded["results"], name) for name in in_order(loaded["results"], "experiment")],
        operating=[
            table
            for name in in_order(loaded["results"], "experiment")
            for table in operating_tables(*(pick(loaded[table], experiment=name) for table in ("results", "operating")), name)
        ],
        differences=[
            _difference_table(loaded["differences"], name, headline) for name in in_order(loaded["results"], "experiment")
        ],
        needs=attack_needs(settings),
        settings=settings,
        settings_yaml=yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True, width=120),
        datasets={name: storage.read_json(path) for name, path in datasets.items()},
        confidence_percent=round(100 * CONFIDENCE),
        timings=_timings(benchmarks),
        places=_places(benchmarks),
        environment=provenance.environment(),
    )
    storage.write_text(output, page)


def _claim_view(claim: Mapping[str, Any], verdicts: pd.DataFrame) -> dict[str, Any]:
    """A claim with one entry a judged defence, attack and attacker; the headline's come first."""
    rows = verdicts[verdicts["claim"] == claim["id"]]
    keys = ["experiment", "defence", "attack", "attacker"]
    judged = [_judgement(group) for _, group in rows.groupby(keys, sort=False, dropna=False)]
    judged.sort(key=lambda entry: not entry["headline"])
    others = [entry for entry in judged if not entry["headline"]]
    counts = pd.Series([entry["verdict"] for entry in others], dtype=str).value_counts().to_dict()
    defence = pick(rows, defence=claim["defences"][0])
    by_attacker = [
        {"experiment": name, **{key: (row["verdict"], row["corrected"]) for key, row in _by_attacker(of_one).items()}}
        for name, of_one in defence.groupby("experiment", sort=False)
    ]
    worst = {(e["experiment"], e["defence"]): e for e in judged if (e["attack"], e["attacker"]) == tuple(STRONGEST.values())}
    headlines = [{**e, "worst": worst.get((e["experiment"], e["defence"]))} for e in judged if e["headline"]]
    return {**claim, "headlines": headlines, "others": others, "counts": counts, "by_attacker": by_attacker}


def _by_attacker(rows: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    """A claim's first row of each attacker."""
    return {(row["attack"], row["attacker"]): row for _, row in rows[::-1].iterrows()}


def _attackers(verdicts: pd.DataFrame, headline: Mapping[str, str]) -> list[tuple[str, str]]:
    """Every attacker of the claims: the strongest first, then the headline's, then the others."""
    first = [tuple(STRONGEST.values()), (headline["attack"], headline["attacker"])]
    named = verdicts[verdicts["attack"] != ""]
    found = sorted(set(zip(named["attack"], named["attacker"], strict=True)))
    return [key for key in first if key in found] + [key for key in found if key not in first]


def _choices(strongest: pd.DataFrame) -> list[dict[str, Any]]:
    """Which attack was the strongest by attack accuracy, against how many targets of each defence."""
    chosen = pick(strongest, metric="attack_accuracy")
    rows = []
    for (experiment, defence), part in chosen.groupby(["experiment", "defence"], sort=False):
        counts = part.groupby(["attack", "attacker"]).size().sort_values(ascending=False)
        named = [f"{readable(attack)} ({readable(attacker)}) {n}" for (attack, attacker), n in counts.items()]
        rows.append({"experiment": experiment, "defence": defence, "n_targets": len(part), "chosen": ", ".join(named)})
    return rows


def _judgement(rows: pd.DataFrame) -> dict[str, Any]:
    first = rows.iloc[0]
    tested = first["verdict"] != "not tested"
    conditions = [f"{measured(row)} (required: {required(row)})" for _, row in rows.iterrows()] if tested else [first["reason"]]
    return {
        **{key: first[key] for key in ("experiment", "defence", "attack", "attacker", "verdict", "corrected", "headline")},
        "conditions": conditions,
    }


def _figure_order(name: str) -> tuple[int, str]:
    known = list(FIGURE_HEADINGS)
    return (known.index(name) if name in known else len(known), name)


def _figure_view(name: str, svg: str) -> dict[str, str]:
    words = storage.read_json(Path(svg).with_suffix(".json"))
    encoded = base64.b64encode(Path(svg).read_bytes()).decode()
    return {
        "name": name,
        "heading": FIGURE_HEADINGS.get(name, readable(name)),
        "data": f"data:image/svg+xml;base64,{encoded}",
        **words,
    }


def _overview(results: pd.DataFrame, experiment: str, headline: Mapping[str, str]) -> dict[str, Any]:
    """Utility, privacy under the headline attack, and compression: one row a defence."""
    columns = {
        "test accuracy": {"metric": "test_accuracy"},
        "train accuracy": {"metric": "train_accuracy"},
        "attack accuracy": {"metric": "attack_accuracy", **headline},
        "AUC": {"metric": "auc", **headline},
        **{f"TPR at {100 * fpr:g} % FPR": {"metric": metric, **headline} for metric, fpr in TPR_AT.items()},
        "compression": {"metric": "compression"},
        "non-zero weights": {"metric": "n_nonzero"},
        "bytes, dense": {"metric": "dense_bytes"},
        "bytes, sparse": {"metric": "sparse_bytes"},
        "FLOPs, zeros skipped": {"metric": "sparse_flops"},
        "sample-passes": {"metric": "sample_passes"},
        "training FLOPs": {"metric": "training_flops"},
        "epsilon": {"metric": "epsilon"},
    }
    rows = pick(results, experiment=experiment)
    columns = {name: chosen for name, chosen in columns.items() if not pick(rows, **chosen).empty}
    body = [
        [defence, *(_cell(pick(rows, defence=defence, **chosen)) for chosen in columns.values())]
        for defence in in_order(rows, "defence")
    ]
    return {"experiment": experiment, "columns": list(columns), "rows": body, "note": _sizes(pick(rows, metric="train_accuracy"))}


def _sizes(rows: pd.DataFrame) -> str:
    """Targets, examples that attacks are tried on, and seeds: of all defences, or of each kind where a seed of some is missing.

    >>> row = {"n_targets": 4, "n_examples": 200, "seeds": "0 1", "defence": "a"}
    >>> _sizes(pd.DataFrame([row, {**row, "defence": "b"}]))
    'n = 4 targets, 200 attacked examples; seeds 0 1'
    >>> _sizes(pd.DataFrame([row, {**row, "n_targets": 2, "n_examples": 100, "seeds": "1", "defence": "c_d"}]))
    'n = 4 targets, 200 attacked examples; seeds 0 1 (a). n = 2 targets, 100 attacked examples; seeds 1 (c d)'
    """
    kinds = {
        f"n = {n_targets:.0f} targets, {n_examples:.0f} attacked examples; seeds {seeds}": ", ".join(
            map(readable, part["defence"])
        )
        for (n_targets, n_examples, seeds), part in rows.groupby(["n_targets", "n_examples", "seeds"], sort=False)
    }
    return next(iter(kinds)) if len(kinds) == 1 else ". ".join(f"{size} ({names})" for size, names in kinds.items())


def _attack_table(results: pd.DataFrame, experiment: str) -> dict[str, Any]:
    """Attack accuracy, one row an attack and attacker, one column a defence."""
    rows = pick(results, experiment=experiment, metric="attack_accuracy")
    defences = in_order(rows, "defence")
    keys = list(dict.fromkeys(zip(rows["attack"], rows["attacker"], strict=True)))
    body = [
        [*key, *(_cell(pick(rows, attack=key[0], attacker=key[1], defence=name)) for name in defences)]
        for key in sorted(keys, key=attack_order)
    ]
    return {"experiment": experiment, "columns": defences, "rows": body}


def _projection_rows(projection: pd.DataFrame) -> list[dict[str, Any]]:
    """What the hard projection did to each defence and to the layer that it took most from; nothing where nothing was pruned."""
    if projection.empty:
        return []
    removed = projection.assign(removed=projection["removed_norm"] / projection["weight_norm"])
    columns = ["removed", "accuracy_before", "accuracy_after", "answers_changed"]
    means = removed.groupby(["experiment", "defence", "layer"], sort=False)[columns].mean().reset_index()
    rows = []
    for _, of_layers in means.groupby(["experiment", "defence"], sort=False):
        whole, layers = pick(of_layers, layer="all").iloc[0], of_layers[of_layers["layer"] != "all"]
        most = layers.loc[layers["removed"].idxmax()]
        shown = {column: number(whole[column], "") for column in columns}
        rows.append({**whole, **shown, "most": f"{number(most['removed'], '')} {most['layer']}"})
    return rows


def _guarantee_rows(guarantees: pd.DataFrame) -> list[dict[str, Any]]:
    """The weakest guarantee over seeds of each defence that has one."""
    weakest = guarantees.sort_values("epsilon", ascending=False).groupby(["experiment", "defence"], sort=False).first()
    return [{**row, "epsilon": number(row["epsilon"], "")} for row in weakest.reset_index().to_dict("records")]


def _audit_view(row: Mapping[str, Any]) -> dict[str, Any]:
    """Bounds as words."""

    def proved(bound: Mapping[str, Any]) -> str:
        if not bound["epsilon"]:
            return "nothing proved"
        return f"{bound['epsilon']:.2f} by {readable(bound['attack'])} ({readable(bound['attacker'])})"

    promised = "none" if row["promised"] is None else number(row["promised"], "")
    return {**row, "one_run": proved(row["one_run"]), "rates": proved(row["rates"]), "promised": promised}


def _exposure_view(exposed: pd.DataFrame, experiment: str, dataset: str) -> dict[str, Any]:
    """Who protects the most exposed examples, and their pictures."""
    packed = read_packed(dataset)
    names = packed.description["class_names"]

    def of_class(found: tuple[list[int], float]) -> str:
        return f"{' or '.join(names[label] for label in found[0])} {found[1]:.3f}"

    found = exposed_examples(exposed, experiment)
    rows = [
        {
            "defence": row["defence"],
            "most": f"{row['most']:.3f} ({row['low']:.3f} to {row['high']:.3f})",
            "alike": f"{row['alike']:.3f} ({row['alike_low']:.3f} to {row['alike_high']:.3f})",
            "highest": of_class(row["most_exposed_class"]),
            "lowest": of_class(row["least_exposed_class"]),
        }
        for row in found
    ]
    examples = shown_examples(exposed, experiment, packed.images, names)
    return {"experiment": experiment, "rows": rows, "lasting": lasting(found), "examples": examples}


def _difference_table(differences: pd.DataFrame, experiment: str, headline: Mapping[str, str]) -> dict[str, Any]:
    """Paired differences of the headline attack's accuracy: row less column."""
    rows = pick(differences, experiment=experiment, metric="attack_accuracy", **headline)
    names = in_order(rows, "defence")
    body = [[name, *(_cell(pick(rows, defence=name, minus=other), signed=True) for other in names)] for name in names]
    return {"experiment": experiment, "columns": names, "rows": body}


def _cell(rows: pd.DataFrame, *, signed: bool = False) -> str:
    return with_interval(rows.iloc[0], signed=signed) if len(rows) else ""


def _timings(folder: Path) -> list[dict[str, Any]]:
    """Jobs, seconds and peak memory of each rule, from Snakemake's benchmark files."""
    by_rule: dict[str, list[pd.Series]] = {}
    for path in sorted(folder.rglob("benchmarks/*.tsv")):
        table = pd.read_csv(path, sep="\t", na_values="-")
        rule = next((rule for rule in RULES if path.stem.startswith(rule)), path.stem)
        by_rule.setdefault(rule, []).append(table.iloc[-1])
    return [
        {
            "rule": rule,
            "jobs": len(rows),
            "wall_seconds": number(sum(row["s"] for row in rows), ""),
            "cpu_seconds": number(sum(row["cpu_time"] for row in rows), ""),
            "longest_seconds": number(max(row["s"] for row in rows), ""),
            "peak_mb": number(max(row["max_rss"] for row in rows), ""),
        }
        for rule, rows in sorted(by_rule.items(), key=lambda item: -sum(row["cpu_time"] for row in item[1]))
    ]


def _places(folder: Path) -> list[dict[str, Any]]:
    """Where the jobs of each rule ran, and their numbers in Slurm, by the records beside their logs; this job has none yet."""
    records = [storage.read_json(path) for path in sorted(folder.rglob("logs/*.provenance.json"))]
    by_place: dict[tuple[str, str], list[str]] = {}
    for record in records:
        if record["rule"] != "write_report":
            by_place.setdefault((record["rule"], record.get("node", "not recorded")), []).append(record["slurm_job"] or "")
    return [
        {"rule": rule, "node": node, "jobs": len(numbers), "slurm_jobs": _listed(sorted(set(filter(None, numbers)), key=int))}
        for (rule, node), numbers in sorted(by_place.items())
    ]


def _listed(numbers: list[str]) -> str:
    """
    >>> _listed(["1", "2"]), _listed(list("0123456789abcdef"))
    ('1, 2', '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, a, b and 4 more')
    """
    shown, more = ", ".join(numbers[:MOST_NUMBERS]), len(numbers) - MOST_NUMBERS
    return f"{shown} and {more} more" if more > 0 else shown


#: of Slurm's numbers in a cell; the records have all
MOST_NUMBERS = 12
#: rules whose benchmark files carry wildcards in their names
RULES = ("train_targets", "train_shadows", "prune_models", "retrain_models", "probe_models", "run_attack", "draw_figure")
