"""The sections on the study's method, its results' provenance and the command that repeats it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from markupsafe import Markup

from mia_pruning import provenance as own
from mia_pruning import storage
from mia_pruning.reporting.needs import attack_needs
from mia_pruning.reporting.page import examples, run, study
from mia_pruning.reporting.page.parts import (
    Code,
    Facts,
    Fold,
    Heading,
    Listing,
    Part,
    Section,
    Text,
)
from mia_pruning.reporting.page.source import Source
from mia_pruning.reporting.style import readable

WHOSE = (
    "The paper's: pruning by ADMM under a limit of non-zero weights in each layer, a hard projection, "
    "masked retraining; the Min-Max game; an attack by a neural network; the rate of 15.78x for LeNet-5 "
    "(second-hand).",
    "Ours: the splits, the controls at equal training budget and matched accuracy, every attack but the "
    "neural network, intervals, thresholds that the claims' readings call ours, and the audit.",
    "Not published and not filled in: the paper's tables, splits, epochs, learning rates, penalty weights and per-layer rates.",
)
POOL = (
    "{models} models were trained, each on a random class-stratified half of the same {examples} examples; "
    "every example is in exactly half of the models. Each model is the target in turn; its shadows are "
    "others, never its twin, the model that trained on the complementary half. How many: the table below."
)
DISJOINT = (
    "{models} targets were trained on halves of {examples} examples and {shadow_models} shadow models on "
    "halves of {shadow_examples} others; no shadow saw an example of a target's."
)
TRAINING = (
    "Accuracy is measured on {test} further examples. Dense training: {epochs} epochs, {optimizer}, "
    "learning rate {learning_rate}, batches of {batch_size}, {precision}."
)
BALANCED = (
    "Attack accuracy is balanced accuracy at thresholds that were set on shadow models, never on the "
    "membership that is asked for; an attacker who knows members of the target sets them on those."
)
INTERVALS = Markup(
    "Intervals: {} replicates of a two-way bootstrap that draws targets and examples with replacement, "
    "less what drawing both counts twice; estimate &plusmn; Student's quantile &times; standard error. "
    "Where a seed has one target the interval covers examples only; of several seeds, whose pools may "
    "share examples, the luck of the examples is taken as one."
)
PAIRED = (
    "The same draws serve every defence and attack, so differences are paired. Intervals are those of one "
    "comparison; verdicts are given for one, and corrected for all of their claim."
)
MATCHED = (
    "Matched accuracy: a defence is compared with dense networks of its own test accuracy, on the line "
    "between the two of {} around it; that these accuracies are estimates widens the interval."
)
UNMATCHED = "Matched accuracy: not looked at, for there are no results of dense controls of several accuracies."
SHARED = Markup(
    "Dense models are shared: the defences of an objective that start from trained networks start from "
    'the same ones. How long each was trained: <i>sample-passes</i> in the <a href="#defences">overview</a>; '
    "<i>baseline continued</i>, where a study has it, is the dense model at the budget of ADMM."
)
RECORDS = Markup(
    "Every job leaves a record beside its log, <code>logs/*.provenance.json</code>, and inside its arrays "
    "and models: rule, parameters, seed, inputs with their SHA-256, code digest, commit, versions and "
    "machine."
)
EXPORTED = Markup(
    "Tables for a paper (LaTeX, Markdown), figures as wide as a column (PDF, SVG) and the configuration "
    "lie in <code>export/</code> beside this file; <code>ro-crate-metadata.json</code> lists all files of "
    "the study in a form that archives read."
)
ANEW = (
    "The page was written at this commit, the results that it shows at {}: a job runs anew only where its "
    "code, its inputs or its parameters have changed since."
)
CHANGED = (
    "Tracked files differed from this commit when the report was written, so the commit alone "
    "does not hold the code that ran."
)


def method(source: Source) -> Section:
    reported = source.reported
    parts = [
        Heading("What this study cannot say", "limits"),
        Listing(study.limitations(reported, source.tables, source.claims["paper"])),
        Heading("What is the paper's, what is ours, what is unknown"),
        Listing(WHOSE),
        *(
            part
            for name, entry in reported["experiments"].items()
            for part in _experiment(name, entry)
        ),
        Listing(
            [
                BALANCED,
                INTERVALS.format(reported["bootstrap_replicates"]),
                PAIRED,
                _matched(reported),
                SHARED,
            ]
        ),
        study.pairs(reported),
        examples.needs_table(attack_needs(reported)),
        *(part for path in source.datasets.values() for part in _dataset(storage.read_json(path))),
        *source.figures_of("method"),
    ]
    return Section("method", "Method", "How it was measured", parts)


def _experiment(name: str, entry: Mapping[str, Any]) -> list[Part]:
    split = entry["split"]
    protocol = POOL if split["protocol"] == "pool" else DISJOINT
    said = f"{protocol} {TRAINING}".format(**{**entry["training"], **split})
    return [Heading(readable(name)), Text(said)]


def _matched(reported: Mapping[str, Any]) -> str:
    dense = ", ".join(map(readable, reported["frontier"]))
    return MATCHED.format(dense) if dense else UNMATCHED


def _dataset(data: Mapping[str, Any]) -> list[Part]:
    size = " x ".join(map(str, data["image_shape"]))
    facts = [
        ("licence", data["licence"]),
        ("source", data["citation"]),
        ("examples", f"{data['n_examples']} of {size}, {len(data['class_names'])} classes"),
        (
            "duplicates",
            f"{data['n_duplicates']} further copies of an identical image; one copy of each is used",
        ),
        *(("SHA-256", _digest(file, digest)) for file, digest in data["files"].items()),
    ]
    return [Heading(f"Data: {data['name']}"), Facts(facts)]


def _digest(file: str, digest: str) -> Markup:
    return Markup("{} <code>{}</code>").format(file, digest)


def provenance(source: Source) -> Section:
    parts = [
        Text(RECORDS, "note"),
        Fold("The record of every result", [run.records_table(source.records)]),
        Fold("Where the jobs ran", [run.places(source.records)]),
        *source.figures_of("provenance"),
    ]
    return Section("provenance", "Provenance", "Provenance: what every result was made from", parts)


def environment(source: Source) -> Section:
    found = own.environment()
    checkout = f"git checkout {found['commit'] or '<commit: not in a repository>'}"
    configured = yaml.safe_dump(
        dict(source.settings), sort_keys=False, allow_unicode=True, width=120
    )
    parts = [
        Text(EXPORTED),
        Code(f"{checkout}\n{study.command(source.settings['study'], source.root)}"),
        *_made_at(source.records, found),
        Facts([*_machine(source.reported, found)]),
        Fold("The whole configuration, defaults filled in", [Code(configured)]),
        *source.figures_of("environment"),
    ]
    return Section("environment", "Environment", "Environment and command", parts)


def _made_at(records: list[Mapping[str, Any]], found: Mapping[str, Any]) -> Iterator[Text]:
    """Yield notes on results of another commit than the page's, or of none, and on changes."""
    made_at = Counter((record["commit"], bool(record["dirty"])) for record in records)
    if [*made_at] != [(found["commit"], bool(found["dirty"]))]:
        jobs = [
            Markup("<code>{}</code>{} ({} job{})").format(
                commit or "none",
                " with uncommitted changes" if dirty else "",
                n,
                "" if n == 1 else "s",
            )
            for (commit, dirty), n in made_at.items()
        ]
        yield Text(Markup(ANEW).format(Markup(", ").join(jobs)))
    if found["dirty"]:
        yield Text(CHANGED, "failed")


def _machine(reported: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    commit = Markup("<code>{}</code>").format(found["commit"] or "not in a repository")
    yield "commit", commit + (" with uncommitted changes" if found["dirty"] else "")
    yield "seeds", ", ".join(map(str, reported["seeds"]))
    yield "processor", f"{found['cpu']}, {found['cpu_count']} cores"
    yield "system", found["platform"]
    yield "Python", found["python"]
    yield from found["packages"].items()
