"""Stage: tidy tables of all defences with intervals, and paired differences between defences.

Both are made from the evaluations of the defences.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mia_pruning import storage
from mia_pruning.metrics.divergence import LOG_2
from mia_pruning.metrics.intervals import Interval, Replicates, interval
from mia_pruning.metrics.names import GUARANTEE_METRICS, PRIVACY_METRICS, RELEASE_METRICS
from mia_pruning.metrics.stand_ins import MATCHED, STRONGEST
from mia_pruning.tables import DIFFERENCES, GUARANTEES, RESULTS, TARGETS
from mia_pruning.types import BASELINE, StudyError

#: These metrics are no rates, so their ranges are stated here.
BOUNDS = {
    "generalisation_gap": (-1.0, 1.0),
    "gain": (-np.inf, 0.0),
    "js_divergence": (-np.inf, LOG_2),
}


class Key(NamedTuple):
    """Attack, attacker and metric of a number; attack and attacker are empty for utility."""

    attack: str
    attacker: str
    metric: str


@dataclass(frozen=True)
class Evaluation:
    """One defence under one seed.

    n_examples: how many examples each target's number rests on.
    failed: attackers that failed, although the strongest attack would have been chosen from them
    too.
    """

    replicates: dict[Key, Replicates]
    n_targets: int
    n_examples: dict[Key, int]
    failed: tuple[str, ...] = ()


def read_evaluation(path: str) -> Evaluation:
    """Return the evaluation that a file of the stage `evaluate` holds."""
    arrays = storage.read_arrays(path)
    keys = [Key(**cell) for cell in json.loads(str(arrays["cells"]))]
    columns = [arrays[field.name] for field in fields(Replicates)]
    replicates = {key: Replicates(*values) for key, *values in zip(keys, *columns, strict=True)}
    n_examples = dict(zip(keys, arrays["n_examples"].tolist(), strict=True))
    failed = tuple(arrays["failed"].tolist())
    return Evaluation(replicates, int(arrays["n_targets"]), n_examples, failed)


def _read_defences(files: Mapping[str, Mapping[int, str]]) -> dict[str, dict[int, Evaluation]]:
    """Return the evaluations of an experiment, by defence and seed.

    The baseline's shadow models are dense. So its adaptive attacker is also its dense-shadow
    attacker, wherever another defence has one.
    """
    read = {
        defence: {seed: read_evaluation(path) for seed, path in by_seed.items()}
        for defence, by_seed in files.items()
    }
    evaluations = [run for runs in read.values() for run in runs.values()]
    asked = dict.fromkeys(
        key for run in evaluations for key in run.replicates if key.attacker == "dense_shadows"
    )
    for run in read.get(BASELINE, {}).values():
        for same in asked:
            adaptive = same._replace(attacker="adaptive")
            if adaptive in run.replicates:
                run.replicates[same], run.n_examples[same] = (
                    run.replicates[adaptive],
                    run.n_examples[adaptive],
                )
    return read


def summarise(
    evaluations: Mapping[str, Mapping[str, Mapping[int, str]]],
    releases: Mapping[str, Mapping[str, Mapping[int, str]]],
    defences: Mapping[str, Mapping[str, str]],
    frontier: Sequence[str],
    protocols: Mapping[str, str],
    outputs: Mapping[str, str],
) -> None:
    """Write the study's tables of metrics, differences, targets and guarantees.

    evaluations, releases: experiment -> defence -> seed -> file.
    frontier: dense defences that the other defences are matched with.
    protocols: experiment -> protocol, which says whether shadow models share the targets'
    examples.
    outputs: table -> path.

    Missing combinations are left out. Two defences are compared under the seeds that both have,
    and no defence is matched with an incomplete frontier.
    """
    result_rows: list[dict[str, Any]] = []
    difference_rows: list[dict[str, Any]] = []
    guarantee_rows: list[dict[str, Any]] = []
    for experiment, by_defence in evaluations.items():
        read = _read_defences(by_defence)
        for defence, by_seed in read.items():
            about = {"experiment": experiment, "defence": defence}
            axes = {**defences[defence], "frontier": defence in frontier}
            counts = [storage.read_json(path) for path in releases[experiment][defence].values()]
            counted = [{**row, "seeds": _listed(by_seed)} for row in _count_rows(counts)]
            result_rows += [
                {**about, "protocol": protocols[experiment], **axes, **row}
                for row in (*_interval_rows(by_seed), *counted)
            ]
            guarantee_rows += [
                {**about, **row} for row in _guarantee_rows(dict(zip(by_seed, counts, strict=True)))
            ]
        for minus, defence in itertools.permutations(read, 2):
            about = {"experiment": experiment, "defence": defence, "minus": minus}
            difference_rows += [
                {**about, **row} for row in _difference_rows(read[defence], read[minus])
            ]
        for defence in read:
            if frontier and defence not in frontier and set(frontier) <= set(read):
                about = {"experiment": experiment, "defence": defence, "minus": MATCHED}
                rows = matched_rows(read[defence], [read[name] for name in frontier])
                difference_rows += [{**about, **row} for row in rows]
    storage.write_table(outputs["results"], result_rows, [*RESULTS])
    storage.write_table(outputs["differences"], difference_rows, [*DIFFERENCES])
    storage.write_table(outputs["targets"], _target_rows(evaluations), [*TARGETS])
    storage.write_table(outputs["guarantees"], guarantee_rows, [*GUARANTEES])


def _interval_rows(by_seed: Mapping[int, Evaluation]) -> Iterator[dict[str, Any]]:
    runs = list(by_seed.values())
    for key in _common(runs):
        bounds = BOUNDS.get(key.metric, (0.0, 1.0))
        found = interval([run.replicates[key] for run in runs], bounds)
        yield {**_row(key, found), **_sizes(key, by_seed)}


def _difference_rows(
    first: Mapping[int, Evaluation], second: Mapping[int, Evaluation]
) -> Iterator[dict[str, Any]]:
    """Yield rows of first - second, replicate by replicate.

    Both share their draws of targets and examples.
    """
    pairs = {seed: (first[seed], second[seed]) for seed in first if seed in second}
    for key in _common([run for pair in pairs.values() for run in pair]):
        paired = [a.replicates[key] - b.replicates[key] for a, b in pairs.values()]
        found = interval(paired, _difference_bounds(key.metric))
        yield {
            **_row(key, found),
            **_sizes(key, {seed: of_first for seed, (of_first, _) in pairs.items()}),
        }


def _common(runs: Iterable[Evaluation]) -> list[Key]:
    """Return the keys that all of these runs have.

    An attack that failed on one run is not compared.
    """
    runs = list(runs)
    if not runs:
        return []
    shared = [key for key in runs[0].replicates if all(key in run.replicates for run in runs[1:])]
    # The strongest of fewer attacks is weaker. It is compared only where the same attacks failed.
    is_one_choice = len({run.failed for run in runs}) == 1
    return [key for key in shared if is_one_choice or key.attack != STRONGEST["attack"]]


def matched_rows(
    runs: Mapping[int, Evaluation], frontier: Sequence[Mapping[int, Evaluation]]
) -> Iterator[dict[str, Any]]:
    """Yield a defence's privacy metrics minus those of dense networks of equal test accuracy.

    The dense networks' metric is read off the line between the two whose test accuracies enclose
    the defence's. If no two do, there are no rows. The accuracies are estimates too: an error of
    one shifts the value along the line, and the replicates with it.
    """
    seeds = [seed for seed in runs if all(seed in of for of in frontier)]
    if not seeds:
        return
    runs, *frontier = ({seed: of[seed] for seed in seeds} for of in (runs, *frontier))
    accuracy = Key("", "", "test_accuracy")

    def mean(of: Mapping[int, Evaluation], key: Key) -> float:
        return float(np.mean([run.replicates[key].per_target.mean() for run in of.values()]))

    own, ordered = mean(runs, accuracy), sorted(frontier, key=lambda of: mean(of, accuracy))
    around = [
        (a, b)
        for a, b in itertools.pairwise(ordered)
        if mean(a, accuracy) <= own <= mean(b, accuracy)
    ]
    if not around:
        return
    lower, upper = around[0]
    width = mean(upper, accuracy) - mean(lower, accuracy)
    share = (own - mean(lower, accuracy)) / width if width else 0.0
    triples = [(run, lower[seed], upper[seed]) for seed, run in runs.items()]

    def excess(key: Key, run: Evaluation, below: Evaluation, above: Evaluation) -> Replicates:
        return (
            run.replicates[key]
            - below.replicates[key] * (1 - share)
            - above.replicates[key] * share
        )

    for key in _common([run for triple in triples for run in triple]):
        if key.metric in PRIVACY_METRICS and width:
            slope = (mean(upper, key) - mean(lower, key)) / width
            matched = [
                excess(key, *triple) - excess(accuracy, *triple) * slope for triple in triples
            ]
            yield {
                **_row(key, interval(matched, _difference_bounds(key.metric))),
                **_sizes(key, runs),
            }


def _difference_bounds(metric: str) -> tuple[float, float]:
    low, high = BOUNDS.get(metric, (0.0, 1.0))
    return low - high, high - low


def _row(key: Key, found: Interval) -> dict[str, Any]:
    of_interval = {
        name: getattr(found, name)
        for name in ("low", "high", "standard_error", "degrees_of_freedom")
    }
    return {**key._asdict(), "value": found.estimate, **of_interval}


def _sizes(key: Key, by_seed: Mapping[int, Evaluation]) -> dict[str, Any]:
    """Return the targets and examples that a number rests on, over all seeds, and these seeds."""
    n_targets = sum(run.n_targets for run in by_seed.values())
    n_examples = sum(run.n_examples[key] for run in by_seed.values())
    return {"n_targets": n_targets, "n_examples": n_examples, "seeds": _listed(by_seed)}


def _listed(seeds: Iterable[int]) -> str:
    return " ".join(map(str, seeds))


def _count_rows(counts: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield rows of counted numbers, which have no interval.

    A number is the mean over seeds. For a guarantee it is that of the weakest seed.
    """
    for metric in RELEASE_METRICS:
        yield {"metric": metric, "value": float(np.mean([of_seed[metric] for of_seed in counts]))}
    for metric in GUARANTEE_METRICS:
        promised = [
            of_seed["guarantee"][metric] for of_seed in counts if metric in of_seed["guarantee"]
        ]
        if promised:
            yield {"metric": metric, "value": max(promised)}


def _guarantee_rows(counts: Mapping[int, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each seed's guarantee; no rows if there is none."""
    for seed, of_seed in counts.items():
        promised = of_seed["guarantee"]
        if promised:
            phases = "; ".join(
                f"{p['steps']} steps, noise {p['noise']:.3f}, sample rate {p['sample_rate']:.4f}"
                for p in promised.get("phases", [])
            )
            pairs = promised.get("curve", [])
            curve = [f"{pair['epsilon']:.5g} at {pair['delta']:g}" for pair in pairs]
            yield {
                "seed": seed,
                **{key: promised.get(key) for key in ("epsilon", "delta", "accountant", "clip")},
                "curve": "; ".join(curve),
                "phases": phases,
                "not_covered": "; ".join(promised["not_covered"]),
            }


def _target_rows(
    evaluations: Mapping[str, Mapping[str, Mapping[int, str]]],
) -> Iterator[dict[str, Any]]:
    """Yield a row for each target, metric, seed and defence.

    Evaluations are read again and rows made one by one: 2,000 evaluations of 256 targets have
    millions for each attack.
    """
    for experiment, by_defence in evaluations.items():
        for defence, by_seed in _read_defences(by_defence).items():
            for seed, run in by_seed.items():
                about = {"experiment": experiment, "seed": seed, "defence": defence}
                for key, values in run.replicates.items():
                    for target, value in enumerate(values.per_target.tolist()):
                        yield {**about, **key._asdict(), "target": target, "value": value}


def nested(
    about: Iterable[Mapping[str, Any]], paths: Iterable[str]
) -> dict[str, dict[str, dict[int, str]]]:
    """Return the paths as experiment -> defence -> seed -> path."""
    tree: dict[str, dict[str, dict[int, str]]] = {}
    for key, path in zip(about, paths, strict=True):
        tree.setdefault(key["experiment"], {}).setdefault(key["defence"], {})[key["seed"]] = path
    return tree


def collect_tables(
    output: str, parts: Iterable[tuple[Mapping[str, Any], str]], columns: Sequence[str]
) -> None:
    """Write one table gathered from many, each preceded by columns that say what it is about.

    columns: of the result, which has them even without any part.

    Raises:
        StudyError: A part has other columns.
    """
    tables = [_part(about, path, columns) for about, path in parts]
    gathered = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    with storage.atomic(output) as temporary:
        gathered.to_csv(temporary, index=False, lineterminator="\n")


def _part(about: Mapping[str, Any], path: str, columns: Sequence[str]) -> pd.DataFrame:
    table = pd.read_csv(path)
    for position, (column, value) in enumerate(about.items()):
        table.insert(position, column, value)
    if list(table.columns) != list(columns):
        own = [column for column in columns if column not in about]
        raise StudyError(
            path,
            f"its columns are {', '.join(table.columns[len(about) :])}, expected are {', '.join(own)}",
            "delete it and run again",
        )
    return table
