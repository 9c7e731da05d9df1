"""Every result table: its columns, the meaning of its rows, and whether the report links to it.

Rules, scripts, stages, the report and the tests of docs/RESULTS.md iterate over `TABLES`. A new
table takes three edits: its declaration here, the code that writes its rows, and its description
in docs/RESULTS.md.
"""

from dataclasses import dataclass

#: These columns say what a row of a gathered table is about.
ABOUT = ("experiment", "seed", "defence")
#: These columns name an attack and who runs it.
ATTACK = ("attack", "attacker")
#: These columns hold an estimate, its interval and the numbers behind the interval.
ESTIMATE = ("value", "low", "high", "standard_error", "degrees_of_freedom")
SIZES = ("n_targets", "n_examples", "seeds")

#: The table has one row per model and epoch.
HISTORY = ("epoch", "train_loss", "train_accuracy", "test_accuracy", "gain", "sample_passes")
#: The table has one row per model, layer and Z-step of ADMM.
RESIDUALS = ("epoch", "rho", "primal", "dual", "weight_norm")
#: The table has one row per model and layer, and one for all layers.
PROJECTION = (
    "layer",
    "weight_norm",
    "removed_norm",
    "accuracy_before",
    "accuracy_after",
    "answers_changed",
)
#: The table has one row per model and stage, `pruned` or `retrained`.
DISTANCE = (
    "model",
    "stage",
    "total_variation",
    "largest_total_variation",
    "relative_logit_distance",
    "answers_changed",
)
#: The table has one row per attack and false-positive rate. allowed_fpr is empty for the attack's
#: own guesses. population_needed is for attacks whose scores are shares of a population. It is the
#: population size that resolves the rate, and empty if the population is large enough. low and
#: high are the Clopper-Pearson interval of tpr. It takes trials as independent and the threshold
#: as given, and so is narrower than the metric's own. ppv_* is the precision at a share of
#: members; ppv_is_bound says that these are lower bounds.
OPERATING = (
    "allowed_fpr",
    "resolved",
    "population_needed",
    "true_positives",
    "members",
    "false_positives",
    "others",
    "tpr",
    "low",
    "high",
    "fpr",
    "ppv_1",
    "ppv_10",
    "ppv_50",
    "ppv_is_bound",
)
AUDIT = ("target", "n_canaries", "n_classes", "n_guesses", "n_correct")
#: The table has one row per example. `example` is its row in the packed data. first_half and
#: second_half are its exposure on either half of the targets. no_leak_* is one draw of the same
#: with the members of twins swapped at random.
EXPOSED = (
    "example",
    "label",
    "first_half",
    "second_half",
    "no_leak_first_half",
    "no_leak_second_half",
)
#: The table has one row per attack and metric, or per pair of attacks. other_attack and
#: other_attacker are the second attack of a Jaccard index. by_chance is the value if finds were
#: spread at random. n counts examples; for a Jaccard index it counts the members that either
#: attack finds. n_models counts models that were trained on an example; for a Jaccard index it
#: counts all models.
AGREEMENT = (
    *ATTACK,
    "other_attack",
    "other_attacker",
    "metric",
    "value",
    "by_chance",
    "n",
    "n_models",
)
#: The table has one row per metric and half of the examples: the attack that was best there, its
#: value there and its value on the other half.
STRONGEST = ("metric", "chosen_on", *ATTACK, "value_there", "value_elsewhere")
#: The table has one row per defence and number: metrics with intervals, counts without.
RESULTS = (
    "experiment",
    "protocol",
    "defence",
    "objective",
    "constraint",
    "frontier",
    *ATTACK,
    "metric",
    *ESTIMATE,
    *SIZES,
)
#: The table has one row per pair of defences and metric.
DIFFERENCES = ("experiment", "defence", "minus", *ATTACK, "metric", *ESTIMATE, *SIZES)
TARGETS = (*ABOUT, *ATTACK, "metric", "target", "value")
GUARANTEES = (
    "experiment",
    "defence",
    "seed",
    "epsilon",
    "delta",
    "curve",
    "accountant",
    "clip",
    "phases",
    "not_covered",
)
#: The table has one row per defence. reliability and its error are of one pair of twins. value,
#: low and high are empty if they cannot be determined.
EXPOSURE_CORRELATION = (
    "experiment",
    "defence",
    "reliability",
    "reliability_error",
    "value",
    "low",
    "high",
    "n_pairs",
    "n_examples",
    "seeds",
)
#: The table has one row per claim, experiment, defence and attack.
VERDICTS = (
    "claim",
    "experiment",
    "defence",
    *ATTACK,
    "verdict",
    "corrected",
    "reason",
    "metric",
    "minus",
    "direction",
    "threshold",
    *ESTIMATE,
    "outcome",
    "n_intervals",
    "corrected_low",
    "corrected_high",
    "corrected_outcome",
    *SIZES,
    "headline",
)


@dataclass(frozen=True)
class Table:
    """A result table, results/{study}/{name}.csv.

    columns: in their order.
    parts: kind of the parts that this table is gathered from: `defence`, `subnetwork`, `pruning`
    or `training`, as in `study.layout.Layout.parts`. None for a table that is written in one
    piece.
    writer: rule that writes the table, or its parts.
    linked: whether the report links to it.
    """

    columns: tuple[str, ...]
    writer: str
    parts: str | None = None
    linked: bool = False

    @property
    def part_columns(self) -> tuple[str, ...]:
        """Columns of a part. The gathered table has those of `ABOUT` before them."""
        return self.columns[len(ABOUT) :]


def _of_defence(*columns: str, linked: bool = False) -> Table:
    """Return a table that the evaluation of each defence writes a part of."""
    return Table((*ABOUT, *columns), "evaluate_defence", "defence", linked)


TABLES = {
    "results": Table(RESULTS, "summarise_study", linked=True),
    "differences": Table(DIFFERENCES, "summarise_study", linked=True),
    "targets": Table(TARGETS, "summarise_study"),
    "guarantees": Table(GUARANTEES, "summarise_study"),
    "exposure_correlation": Table(EXPOSURE_CORRELATION, "summarise_study"),
    "verdicts": Table(VERDICTS, "judge_claims", linked=True),
    "roc": _of_defence(*ATTACK, "fpr", "tpr", "low", "high"),
    "operating": _of_defence(*ATTACK, *OPERATING, linked=True),
    "strongest": _of_defence(*STRONGEST),
    "audit": _of_defence(*ATTACK, *AUDIT),
    "exposed": _of_defence(*EXPOSED),
    "agreement": _of_defence(*AGREEMENT),
    "failures": _of_defence(*ATTACK, "failure"),
    "confidence": _of_defence("member", "low", "high", "fraction"),
    "history": Table((*ABOUT, "stage", "model", *HISTORY), "train_targets", "training"),
    "residuals": Table((*ABOUT, "model", "layer", *RESIDUALS), "prune_models", "pruning"),
    "projection": Table((*ABOUT, "model", *PROJECTION), "prune_models", "pruning", linked=True),
    "distance": Table((*ABOUT, *DISTANCE), "measure_distance", "subnetwork"),
}


def written_by(rule: str) -> dict[str, Table]:
    """Return the tables that a rule writes, or writes parts of."""
    return {name: table for name, table in TABLES.items() if table.writer == rule}


def gathered() -> dict[str, Table]:
    """Return the tables that are gathered from parts."""
    return {name: table for name, table in TABLES.items() if table.parts is not None}
