"""Tables of what defences do: utility, privacy under each attacker, compression, and cost.

Further tables hold what was promised and what was proved.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from mia_pruning.metrics.names import TPR_AT
from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.reporting.auditing import CONTRADICTED, UNPROMISED, audit
from mia_pruning.reporting.page.table import (
    Cell,
    Column,
    Table,
    measured_cell,
    named,
    rows_by,
    table_of,
)
from mia_pruning.reporting.page.verdicts import sizes_of_defence
from mia_pruning.reporting.sentences import number
from mia_pruning.reporting.style import in_order, readable
from mia_pruning.reporting.tables import WHERE, pick
from mia_pruning.types import BASELINE

#: An attacker who knows nothing has this balanced accuracy.
GUESSING = 0.5


@dataclass(frozen=True)
class Measure:
    """A column of the overview.

    chosen: which rows of the results it shows; bar_from: where the bar behind the number begins,
    if any.
    """

    label: str
    about: str
    chosen: Mapping[str, str] = field(default_factory=dict)
    bar_from: float | None = None


def measures(headline: Mapping[str, str]) -> list[Measure]:
    """List the columns of the overview, ordered by what they are about."""
    short = readable(headline["attack"])
    attack = f"{short}, {readable(headline['attacker'])}"
    rates = [
        Measure(
            f"TPR at {100 * fpr:g} % FPR, {who}",
            f"share of members found by {whom} where at most so many non-members are taken for members",
            {"metric": metric, **columns},
        )
        for metric, fpr in TPR_AT.items()
        for who, whom, columns in (
            (short, attack, headline),
            ("strongest", "the strongest attack", STRONGEST),
        )
    ]
    return [
        Measure(
            "test accuracy",
            "share of unseen examples that are classified right",
            {"metric": "test_accuracy"},
            0.0,
        ),
        Measure(
            "train accuracy",
            "the same of the examples that attacks are tried on, as members",
            {"metric": "train_accuracy"},
        ),
        Measure(
            f"attack accuracy, {short}",
            f"of {attack}; balanced, 0.5 is guessing",
            {"metric": "attack_accuracy", **headline},
            GUESSING,
        ),
        Measure(
            "attack accuracy, strongest",
            "balanced accuracy of the attack that was the most accurate on one half of the examples, measured on the other "
            "half; by other measures another may be the strongest",
            {"metric": "attack_accuracy", **STRONGEST},
            GUESSING,
        ),
        Measure(
            f"AUC, {short}",
            f"area under the ROC curve of {attack}; 0.5 is guessing",
            {"metric": "auc", **headline},
        ),
        *rates,
        Measure(
            "compression", "weights for each one that is not zero", {"metric": "compression"}, 0.0
        ),
        Measure("non-zero weights", "counted in the released network", {"metric": "n_nonzero"}),
        Measure(
            "bytes, dense",
            "of the released file with every weight in float32",
            {"metric": "dense_bytes"},
        ),
        Measure(
            "bytes, sparse",
            "of a file with a bit a weight and the values that are not zero",
            {"metric": "sparse_bytes"},
        ),
        Measure(
            "FLOPs, zeros skipped",
            "of classifying one image; no hardware speed-up is claimed",
            {"metric": "sparse_flops"},
        ),
        Measure(
            "sample-passes",
            "examples that went through training, all phases together",
            {"metric": "sample_passes"},
        ),
        Measure(
            "training FLOPs",
            "operations of all training of one network",
            {"metric": "training_flops"},
        ),
        Measure("epsilon", "what DP-SGD promises; empty where nothing is", {"metric": "epsilon"}),
    ]


def overview(results: pd.DataFrame, headline: Mapping[str, str]) -> Table:
    """Tabulate one row an experiment and defence; measures that no defence has are left out."""
    shown = [
        (m, rows_by(found, WHERE))
        for m in measures(headline)
        if len(found := pick(results, **m.chosen))
    ]
    bars = {
        m.label: (m.bar_from, max(r["value"] for r in found.values()))
        for m, found in shown
        if m.bar_from is not None
    }
    rows = []
    for experiment, of_experiment in results.groupby("experiment", sort=False):
        for defence in in_order(of_experiment, "defence"):
            cells = [
                measured_cell(found.get((experiment, defence)), bar=bars.get(m.label))
                for m, found in shown
            ]
            n = sizes_of_defence(pick(of_experiment, defence=defence))
            rows.append(
                [
                    named(experiment),
                    Cell(readable(defence), look="defence", hint=defence),
                    *cells,
                    n,
                ]
            )
    behind = Column(
        "n and seeds",
        "targets, examples that attacks are tried on, and seeds behind the row's numbers",
    )
    columns = [
        Column("experiment"),
        Column("defence"),
        *(Column(m.label, m.about) for m, _ in shown),
        behind,
    ]
    return table_of(
        "defences",
        "Every defence: utility, privacy, compression and cost",
        columns,
        rows,
        n_heads=2,
    )


def changes(differences: pd.DataFrame, headline: Mapping[str, str]) -> Table:
    """Tabulate paired differences of each defence to the baseline, in points."""
    against = pick(differences, minus=BASELINE)
    shown = {
        "test accuracy": {"metric": "test_accuracy"},
        "attack accuracy": {"metric": "attack_accuracy", **headline},
        "strongest attack": {"metric": "attack_accuracy", **STRONGEST},
    }
    found = {
        label: rows_by(rows, WHERE)
        for label, chosen in shown.items()
        if len(rows := pick(against, **chosen))
    }
    rows = [
        [
            named(experiment),
            Cell(readable(defence), look="defence", hint=defence),
            *(
                measured_cell(part.get((experiment, defence)), signed=True)
                for part in found.values()
            ),
        ]
        for experiment, defence in dict.fromkeys(
            zip(against["experiment"], against["defence"], strict=True)
        )
    ]
    columns = [
        Column("experiment"),
        Column("defence"),
        *(Column(label, "minus that of the baseline") for label in found),
    ]
    caption = "What each defence changes against the baseline"
    return table_of("changes", caption, columns, rows, n_heads=2)


def guarantees_table(guarantees: pd.DataFrame) -> Table | None:
    """Tabulate the weakest guarantee over seeds of each defence that has one; None without any."""
    weakest = (
        guarantees.sort_values("epsilon", ascending=False)
        .groupby(WHERE, sort=False)
        .first()
        .reset_index()
    )
    if weakest.empty:
        return None
    rows = [
        [
            named(row["experiment"]),
            Cell(readable(row["defence"]), look="defence", hint=row["defence"]),
            number(row["epsilon"], ""),
            *(str(row[name]) for name in ("delta", "accountant", "clip", "phases", "not_covered")),
        ]
        for row in weakest.to_dict("records")
    ]
    labels = (
        "experiment",
        "defence",
        "epsilon",
        "delta",
        "accountant",
        "clipping norm",
        "phases",
        "not covered",
    )
    caption = "Differential privacy: what is promised"
    return table_of("guarantees", caption, map(Column, labels), rows, n_heads=2)


def audits(tables: Mapping[str, pd.DataFrame]) -> tuple[Table, list[dict[str, Any]]]:
    """Return the table of each defence's audit, and the rows that contradict a promise."""
    found = audit(tables["audit"], tables["guarantees"])
    columns = [
        Column("experiment"),
        Column("defence"),
        Column("verdict", "of the audit, on the promise"),
        Column("attack", "chosen on other models, as the number of guesses is"),
        Column("right guesses", "of the first target of the first seed"),
        Column("delta"),
        Column("epsilon is at least", "f-DP audit in one run, Mahloujifar et al. 2024"),
        Column("largest provable", "the same, if all guesses were right"),
        Column(
            "by Steinke et al.", "the same guesses under the weaker assumption of (epsilon, delta)"
        ),
        Column("epsilon is at most", "by DP-SGD's accountant, at the same delta"),
    ]
    table = table_of(
        "audits",
        "Lower bounds on epsilon by the attacks",
        columns,
        map(_audit_cells, found),
        n_heads=2,
    )
    return table, [row for row in found if row["verdict"] == CONTRADICTED]


def _audit_cells(row: Mapping[str, Any]) -> list[Any]:
    """Return the cells of a row of the audits.

    A bound of 0 is no bound. No epsilon is promised where the accountant's is beyond the audit.
    """
    bounds = [row[name] for name in ("epsilon", "largest", "steinke")]
    promised = "none" if row["verdict"] == UNPROMISED else "beyond the audit"
    if row["promised"] is not None:
        promised = Cell(number(row["promised"], ""), row["promised"])
    attack = f"{readable(row['attack'])} ({readable(row['attacker'])})"
    return [
        named(row["experiment"]),
        Cell(readable(row["defence"]), look="defence", hint=row["defence"]),
        row["verdict"],
        Cell(attack, hint=f"chosen on {row['chosen_on']}"),
        Cell(f"{row['n_correct']:,} of {row['n_guesses']:,}", float(row["n_correct"])),
        Cell(f"{row['delta']:g}", row["delta"]),
        *(Cell(f"{bound:.2f}" if bound else "nothing proved", bound) for bound in bounds),
        promised,
    ]


def projections(projection: pd.DataFrame) -> Table | None:
    """Tabulate what the hard projection did to each defence, and to the layer it took most from.

    None where nothing was pruned.
    """
    rows = [[*cells] for cells in _projection_rows(projection)] if len(projection) else []
    labels = (
        "experiment",
        "defence",
        "removed norm / norm of the weights",
        "largest in a layer",
        "test accuracy before",
        "after",
    )
    columns = [*map(Column, labels), Column("answers changed", "share of test examples")]
    caption = "What the hard projection at the end changes"
    return table_of("projection", caption, columns, rows, n_heads=2) if rows else None


def _projection_rows(projection: pd.DataFrame) -> Iterator[list[Cell]]:
    removed = projection.assign(removed=projection["removed_norm"] / projection["weight_norm"])
    columns = ["removed", "accuracy_before", "accuracy_after", "answers_changed"]
    means = removed.groupby([*WHERE, "layer"], sort=False)[columns].mean().reset_index()
    for (experiment, defence), of_layers in means.groupby(WHERE, sort=False):
        whole, layers = pick(of_layers, layer="all").iloc[0], of_layers[of_layers["layer"] != "all"]
        most = layers.loc[layers["removed"].idxmax()]
        counted = [Cell(number(whole[column], ""), float(whole[column])) for column in columns]
        in_layer = Cell(f"{number(most['removed'], '')} {most['layer']}", float(most["removed"]))
        yield [
            named(experiment),
            Cell(readable(defence), look="defence", hint=defence),
            counted[0],
            in_layer,
            *counted[1:],
        ]
