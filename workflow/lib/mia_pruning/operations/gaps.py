"""Gaps in the results of a study after failed jobs, and their causes.

The file is results/{study}/missing.json. `mia_pruning.operations.diagnosis` finds the gaps. In a
partial run the Snakefile reads the file and leaves these combinations out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mia_pruning import storage
from mia_pruning.metrics.stand_ins import MATCHED
from mia_pruning.study.layout import Combination

NAME = "missing.json"
#: This environment variable is the path of missing.json. It is set only in a partial run, and jobs
#: on other nodes inherit it.
LEFT_OUT = "MIA_PRUNING_LEFT_OUT"
MOST_LISTED = 20


@dataclass(frozen=True)
class Failure:
    """A failed job.

    job: its rule and wildcards.
    reason: a clause, mostly the last line of its log.
    """

    job: str
    reason: str
    log: str


@dataclass(frozen=True)
class Gap:
    """Combinations that are missing for the same cause.

    not_begun: rules of their jobs that waited for the failed ones in vain.
    """

    combinations: tuple[Combination, ...]
    failures: tuple[Failure, ...]
    not_begun: tuple[str, ...]


@dataclass(frozen=True)
class Missing:
    """All gaps of a study.

    began: start of the run, in seconds since 1970.
    n_wanted: number of combinations of the complete study.
    """

    began: float = 0.0
    n_wanted: int = 0
    gaps: tuple[Gap, ...] = ()

    @property
    def combinations(self) -> frozenset[Combination]:
        return frozenset(combination for gap in self.gaps for combination in gap.combinations)

    @property
    def leaves_nothing(self) -> bool:
        return len(self.combinations) == self.n_wanted

    def sentences(self) -> list[str]:
        """Return a sentence on all gaps, then a text on each; an empty list without gaps."""
        if not self.gaps:
            return []
        n = len(self.combinations)
        head = (
            f"These results are not whole: of {self.n_wanted} combinations of experiment, seed and defence {n} "
            f"{'is' if n == 1 else 'are'} missing from every table, figure and verdict."
        )
        return [head, *_cut([describe(gap) for gap in self.gaps], f"causes; all are in {NAME}")]

    def by_experiment(self, frontier: Sequence[str]) -> dict[str, list[str]]:
        """Return, by experiment, the defences that lack at least one seed.

        Matched accuracy is one of them if it rests on one of them.
        """
        lacking: dict[str, list[str]] = {}
        for experiment, _, defence in sorted(self.combinations):
            names = lacking.setdefault(experiment, [])
            names += [defence] if defence not in names else []
        return {
            name: [*names, *([MATCHED] if set(names) & set(frontier) else [])]
            for name, names in lacking.items()
        }

    def write(self, path: Path) -> None:
        storage.write_json(path, asdict(self))


def read_missing(path: Path) -> Missing:
    content = storage.read_json(path)
    gaps = tuple(
        Gap(
            tuple(Combination(*values) for values in gap["combinations"]),
            tuple(Failure(**failure) for failure in gap["failures"]),
            tuple(gap["not_begun"]),
        )
        for gap in content["gaps"]
    )
    return Missing(content["began"], content["n_wanted"], gaps)


def describe(gap: Gap) -> str:
    """Return what is missing, and why, as sentences.

    >>> failure = Failure("prune_models s e 0 erm admm targets_0", "stopped: no", "a.log")
    >>> describe(Gap((Combination("e", 0, "admm"),), (failure,), ("query_models",)))
    'admm on e, seed 0: prune_models s e 0 erm admm targets_0 stopped: no (a.log). Never begun because of it: query_models.'
    """
    what = "; ".join(_cut(_listed(gap.combinations), "such"))
    because = "; ".join(
        _cut([f"{of.job} {of.reason} ({of.log})" for of in gap.failures], "jobs likewise")
    )
    waited = (
        f" Never begun{' because of it' if gap.failures else ''}: {', '.join(gap.not_begun)}."
        if gap.not_begun
        else ""
    )
    return f"{what}: {because or 'no job of it left a log that says why, so see the newest of .snakemake/log'}.{waited}"


def _listed(combinations: Iterable[Combination]) -> list[str]:
    """Return the seeds of each defence and experiment as a phrase.

    >>> _listed([Combination("e", 0, "a"), Combination("e", 1, "a"), Combination("e", 0, "b")])
    ['a on e, seeds 0, 1', 'b on e, seed 0']
    """
    seeds: dict[tuple[str, str], list[str]] = {}
    for experiment, seed, defence in combinations:
        seeds.setdefault((defence, experiment), []).append(str(seed))
    return [
        f"{defence} on {experiment}, seed{'s' if len(of) > 1 else ''} {', '.join(of)}"
        for (defence, experiment), of in seeds.items()
    ]


def _cut(parts: list[str], more: str) -> list[str]:
    n_more = len(parts) - MOST_LISTED
    return [*parts[:MOST_LISTED], f"and {n_more} more {more}"] if n_more > 0 else parts
