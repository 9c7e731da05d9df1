"""The rules of the pipeline, and what is known of each. A new rule is added here and in its .smk file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """What planning, watching and reporting must know of a rule.

    libraries: what its script imports: torch, arrays (numpy), tables (pandas) or figures.
    on_gpu: whether its jobs train or query networks, and so are faster on a GPU.
    takes_batches: whether one job takes several models.
    of_dataset: whether its jobs prepare a data set, which several studies share.
    after_results: whether its jobs run when the page is written, or after it.
    """

    libraries: str = "torch"
    on_gpu: bool = False
    takes_batches: bool = False
    of_dataset: bool = False
    after_results: bool = False


RULES = {
    "fetch_dataset": Rule("torch", of_dataset=True),
    "pack_dataset": Rule("arrays", of_dataset=True),
    "split_examples": Rule("arrays"),
    "generate_examples": Rule("torch"),
    "train_targets": Rule(on_gpu=True, takes_batches=True),
    "train_shadows": Rule(on_gpu=True, takes_batches=True),
    "prune_models": Rule(on_gpu=True, takes_batches=True),
    "retrain_models": Rule(on_gpu=True, takes_batches=True),
    "query_models": Rule(on_gpu=True),
    "probe_models": Rule(on_gpu=True),
    "gather_traces": Rule("arrays"),
    "measure_release": Rule("torch"),
    "measure_distance": Rule("torch"),
    "run_attack": Rule("arrays"),
    "evaluate_defence": Rule("tables"),
    "summarise_study": Rule("tables"),
    "judge_claims": Rule("arrays"),
    "draw_figure": Rule("figures"),
    "write_report": Rule("figures", after_results=True),
    "export_study": Rule("figures", after_results=True),
}


def rules_that(trait: str) -> tuple[str, ...]:
    """Names of the rules that have a trait.

    >>> rules_that("of_dataset")
    ('fetch_dataset', 'pack_dataset')
    """
    return tuple(name for name, rule in RULES.items() if getattr(rule, trait))
