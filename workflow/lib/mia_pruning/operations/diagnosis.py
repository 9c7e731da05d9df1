"""Find the combinations of experiment, seed and defence that a failed run lacks, and the causes.

All of it is read from records: Snakemake's own of files that are up to date, and the logs of jobs
that began and did not end well.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mia_pruning.operations.gaps import Failure, Gap, Missing
from mia_pruning.operations.status import ENDING, Begun, Output, end_of_slurm_log
from mia_pruning.study.generated import ATTACKER as GENERATED_SHADOWS
from mia_pruning.study.generated import derived_name
from mia_pruning.study.layout import Combination, Layout, all_combinations, home_of
from mia_pruning.study.pipeline import RULES, rules_that
from mia_pruning.study.study import Study
from mia_pruning.types import BASELINE

#: Other defences use the results of these rules on shadow models.
OF_NETWORKS = (*rules_that("on_gpu"), "gather_traces")


@dataclass(frozen=True)
class Lost:
    """A missing combination, and why it is missing.

    failures: the failed jobs that it rests on.
    not_begun: the rules of its jobs that never began.
    """

    combination: Combination
    failures: tuple[Failure, ...]
    not_begun: tuple[str, ...]


def find_missing(
    study: Study, outputs: Iterable[Output], failed: Sequence[Begun], began: float
) -> Missing:
    """Return the gaps in the results of a study.

    outputs: all files of the study.
    failed: jobs that began and did not end well.
    began: start of the run, in seconds since 1970.

    A combination is complete if all files in its own folder are up to date. Snakemake never says
    so of a file that depends on one which is not.
    """
    by_folder: dict[str, list[Output]] = {}
    for output in outputs:
        by_folder.setdefault(home_of(output.path), []).append(output)
    layout, wanted = Layout(study), list(all_combinations(study))
    lost = [
        _lost(layout, combination, by_folder, failed)
        for combination in wanted
        if not _is_whole(by_folder.get(layout.folder_of(combination), []))
    ]
    return Missing(began, len(wanted), tuple(_gaps(lost)))


def _is_whole(files: Sequence[Output]) -> bool:
    return bool(files) and all(file.done for file in files)


def _lost(
    layout: Layout,
    combination: Combination,
    by_folder: dict[str, list[Output]],
    failed: Iterable[Begun],
) -> Lost:
    own = [*layout.folders_of(combination), *_of_generated_shadows(layout, combination)]
    lent = set(_lent(layout, combination))
    dataset = layout.study["experiments"][combination.experiment]["dataset"]
    causes = [job for job in failed if _is_cause(job, own, lent, dataset)]
    pending = [file for folder in own for file in by_folder.get(folder, []) if not file.done]
    waited = {file.rule for file in pending if not any(_makes(job, file) for job in causes)}
    failures = [Failure(f"{job.rule} {job.what}", reason(job), str(job.log)) for job in causes]
    return Lost(combination, tuple(failures), tuple(sorted(waited)))


def _is_cause(job: Begun, own: Sequence[str], lent: set[str], dataset: str) -> bool:
    if RULES[job.rule].of_dataset:
        return job.what == dataset
    folder = str(job.log.parent.parent)
    return folder in own or (folder in lent and job.rule in OF_NETWORKS)


def _lent(layout: Layout, of: Combination) -> Iterator[str]:
    """Yield folders of the networks that attacks compare a combination's own with.

    These are the baseline's, and the dense ones of its objective.
    """
    study = layout.study
    for attack in study["attacks"]:
        attackers = study.attackers(attack, of.experiment, of.defence)
        if "dense_shadows" in attackers:
            yield from layout.folders_of(of._replace(defence=BASELINE))[1:]
        if attackers and study.sees_dense(attack):
            yield layout.dense_folder_of(of)


def _of_generated_shadows(layout: Layout, of: Combination) -> tuple[str, ...]:
    """Return folders of the derived experiment, whose shadow models attack this combination."""
    attackers = {who for _, who in layout.study.attacks_on(of.experiment, of.defence)}
    if GENERATED_SHADOWS not in attackers:
        return ()
    return layout.folders_of(of._replace(experiment=derived_name(of.experiment)))


def _makes(job: Begun, file: Output) -> bool:
    """Return whether a job would have made a file.

    The file is of the job's rule and in its folder. Its name has the wildcards that are not in the
    folder's.
    """
    folder = job.log.parent.parent
    named = re.escape(".".join(job.what.split()[len(folder.parts) - 1 :]))
    same = (file.rule, home_of(file.path)) == (job.rule, str(folder))
    return same and (not named or re.search(rf"(^|_){named}\.", Path(file.path).name) is not None)


def reason(job: Begun) -> str:
    """Return why a job did not end well, as a clause.

    >>> def job(*last): return Begun("prune_models", "s", "here", "1", "", Path("a.log"), last)
    >>> reason(job("9:00:00 epoch 1", "9:00:01 stopped: the loss is not finite"))
    'stopped: the loss is not finite'
    >>> reason(job("9:00:01 failed; please report this with the log a.log", "Traceback", "KeyError: 'x'"))
    "failed: KeyError: 'x'"
    >>> reason(job("9:00:00 epoch 1"))
    'was ended from outside, after: 9:00:00 epoch 1'
    """
    said = next((position for position, line in enumerate(job.last) if ENDING.match(line)), None)
    if said is None:
        words = end_of_slurm_log(job)
        return f"was ended from outside, {f'with the words: {words[-1].strip()}' if words else f'after: {job.last[-1]}'}"
    (_, line), more = job.last[said].split(" ", 1), job.last[said + 1 :]
    if line.startswith("failed;") and more:
        return f"failed: {more[-1].strip()}"
    return " ".join([line, *(part.strip() for part in more)])


def _gaps(lost: Iterable[Lost]) -> Iterator[Gap]:
    """Yield gaps, each of the lost combinations of one cause.

    A cause is the same if jobs of the same rules gave the same reasons.
    """
    alike: dict[frozenset[tuple[str, str]], list[Lost]] = {}
    for each in lost:
        alike.setdefault(
            frozenset((failure.job.split()[0], failure.reason) for failure in each.failures), []
        ).append(each)
    for group in alike.values():
        failures = dict.fromkeys(failure for each in group for failure in each.failures)
        not_begun = {rule for each in group for rule in each.not_begun}
        yield Gap(
            tuple(each.combination for each in group), tuple(failures), tuple(sorted(not_begun))
        )
