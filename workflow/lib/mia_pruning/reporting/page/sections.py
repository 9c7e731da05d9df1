"""The sections of the page in its order, each a function from the study to what it shows."""

from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup

from mia_pruning.reporting.page import agreement, attacks, defences, examples, run, study, verdicts
from mia_pruning.reporting.page.method import environment, method, provenance
from mia_pruning.reporting.page.parts import Faces, Fold, Heading, Part, Section, Text, given, noted
from mia_pruning.reporting.page.source import PERCENT, Source
from mia_pruning.reporting.style import readable
from mia_pruning.reporting.tables import pick
from mia_pruning.types import BASELINE

VERDICT = Markup(
    "A verdict is <i>supported</i> or <i>refuted</i> when the whole interval lies on one side of what "
    "is required, else <i>inconclusive</i>; <i>not tested</i> when the study lacks what the claim is "
    "about. <i>Corrected</i>: the interval is so wide that all those of the claim, over its defences "
    "and attackers, hold at once (Bonferroni); equal intervals count once. <i>The strongest "
    "attack</i>: for each measure, the attack that did best on one half of the examples, measured on "
    "the other half; the value is the mean of both directions. Where both halves choose the same "
    "attack, the value is that attack's own. It is one of the attacks that were tried on every "
    "defence and that know neither members of the target nor its dense release. <i>Not "
    "published</i>: the paper gives no figure, and none is filled in."
)
BY_ATTACKER = Markup(
    "The first defence of each claim. In brackets, where it differs: the verdict when all intervals "
    "of the claim, over its defences, attackers and conditions, are to hold at once at {} % (Bonferroni)."
).format(PERCENT)
OVERVIEW = Markup(
    "Point at a column's head to read what it holds. Bars compare the values of a column, those of "
    "attacks by what exceeds guessing. Compression, bytes and FLOPs are counted, so they have no "
    "interval. TPR is the mean over targets of the true-positive rate at the lowest threshold whose "
    "realised false-positive rate does not exceed the one named; a rate that non-members do not "
    'resolve is left out. The same and more: <a href="results.csv">results.csv</a>.'
)
CHANGES = Markup(
    "Both sides of a difference share their draws of targets and examples. All other pairs: "
    '<a href="differences.csv">differences.csv</a>.'
)
ATTACKERS = Markup(
    "Balanced accuracy: the mean of the rates at which members and non-members are told right; 0.5 is "
    "guessing, and a bar is what exceeds it. <i>Adaptive</i>: the shadow models went through the "
    "target's own defence. <i>Dense shadows</i>: they are the undefended baseline's. <i>Known "
    "members</i>: another kind of attacker, who is told half of the target's own members and "
    "non-members and guesses the rest; not to be compared with the others as if it knew as little. "
    "<i>†</i>: the interval ends below the accuracy of the correctness attack on the same defence. "
    'That attack guesses "member" where the answer is right, and learns nothing. Empty: not tried, or '
    "failed."
)
ATTACKS = Markup(
    "In brackets the {} % interval over targets and examples. TPR is the mean over targets, each at "
    "the lowest threshold of its own that keeps within the rate; after <i>at</i> the realised "
    "false-positive rate. <i>n too small</i>: the non-members of all targets (the cell gives their "
    "number) allow fewer than ten false positives, or fewer than one per target. <i>Population "
    "below</i>: the scores are shares of a population, which needs this many examples (split.test) to "
    "resolve the rate; examples with equal shares are ordered by the likelihood ratio. "
    "<i>Precision</i>: the share of true members among the examples guessed as members, if 1, 10 or "
    "50 % of all examples are members. It is computed from the rates pooled over all targets. The "
    "attack's own threshold is set on shadow models. <i>At least</i>: there was no false positive, so "
    "the precision is a lower bound, computed from the upper Clopper-Pearson bound of the FPR. Counts "
    "with Clopper-Pearson intervals, narrower because they take trials as independent and thresholds "
    'as given: <a href="operating.csv">operating.csv</a>.'
).format(PERCENT)
AGREEMENT = Markup(
    "At a false-positive rate of 1 %, each target at a threshold of its own; values are means over "
    "seeds. In brackets: the value if each attack's finds were spread at random over the target's "
    "members. <i>On at least one model</i> (coverage) and <i>on every model</i> (stability): of the "
    "targets that were trained on an example. <i>Jaccard index</i>: of the members that either of two "
    "attacks finds, the share that both find; shown are the attacks that are most and least alike. "
    'All pairs: <a href="agreement.csv">agreement.csv</a>.'
)
EXPOSED = Markup(
    "The most exposed 1 % of the baseline, {} of one seed's, are chosen on one half of the targets and "
    "measured on the other, so these numbers, unlike those under the pictures, are free of luck in the "
    "choice; the interval is over these examples, and so are the extreme classes'. The correlation "
    "compares all examples' exposures under the defence with those under the baseline. It is computed "
    "between different pairs of twins and corrected for attenuation (Spearman 1904): divided by the "
    "square root of the product of both reliabilities. The same order under a weaker leak reads 0.92 "
    "to 1 where few examples carry most of the exposure. The interval takes the larger of the error "
    "over examples and that of a jackknife over pairs; with two pairs it is over examples alone. "
    "<i>Cannot be told</i>: the pairs of the defence, or of the baseline, agree by less than three "
    "standard errors."
)
AUDITS = Markup(
    "One model of each defence is audited: the first target of the first seed. The attack and the "
    "number of guesses are chosen on other models. With one seed these are attacks that had the "
    "audited model as a shadow, so the choice is not strictly independent. The highest scores are "
    "guessed as members, as many of the lowest as non-members. Each bound holds at {} % by itself. "
    "<i>Epsilon is at least</i>: the f-DP audit in one run (Mahloujifar et al. 2024) for Gaussian "
    "mechanisms. <i>Largest provable</i>: the same bound if every guess were right. The verdict tests "
    "the accountant's complete curve of epsilon and delta. <i>Has no power</i>: even if every guess "
    "were right, the promise could not be contradicted. Exactly half of each class are members; so "
    "half a right guess per class is subtracted, a margin that was measured, not proved. Canaries are "
    "ordinary examples, so a low bound is no promise of privacy."
).format(PERCENT)
GUARANTEES = (
    "For one example more or less among a model's members, over all phases of its training. A mask "
    "taken from weights that were trained privately costs nothing further; one that was chosen on the "
    "members themselves voids epsilon, which is then left empty. Batch normalisation, where a model "
    "has it, is replaced by group normalisation under DP-SGD."
)
UTILITY = Markup(
    'Test accuracy of every defence: the <a href="#defences">overview</a>; what it loses against the '
    'baseline: the <a href="#changes">changes</a>.'
)
COMPRESSION = Markup(
    'Rates, bytes and FLOPs of every defence: the <a href="#defences">overview</a>. Sparse bytes: a '
    "bit a weight and the non-zero values in float32, as a file really written. FLOPs count a "
    "multiply-add as two and a zero weight as none; no hardware speed-up is claimed."
)
THEORY = Markup(
    "What the paper proves, as a summary has it (second-hand), beside what this study measured. T1: "
    "the inference model gains least, &minus;log 2, exactly where members and non-members are answered "
    "alike; the divergence of what an attacker sees of the two bounds how well it can tell them. T2: "
    "near a dense network there is a subnetwork that answers alike. T3: the ADMM iteration converges."
)
PROJECTION = Markup(
    "Mean over models, test examples, before retraining. Had ADMM converged, the projection would "
    "remove nothing; solvers that prune at once remove here what they prune. By layer: "
    '<a href="projection.csv">projection.csv</a>.'
)
NOT_TOLD = "Single examples cannot be told apart here: that takes two pairs of targets at least, and the baseline's results."
BY_LUCK = (
    "Without a leak the mean exposure is 0.5; it is subtracted here. By chance alone {} examples would "
    "be this exposed (one draw, with the members of twins swapped at random). The most exposed come "
    "first; ties are in the order of the data."
)


def sections(source: Source) -> list[Section]:
    return [section(source) for section in SECTIONS]


def claims(source: Source) -> Section:
    judged = source.tables["verdicts"]
    attackers = verdicts.attackers_of(judged, source.headline)
    by_attacker = verdicts.by_attacker(source.claims, judged, attackers)
    every = [
        *noted(by_attacker, BY_ATTACKER),
        *given(verdicts.all_verdicts(judged), verdicts.choices(source.tables["strongest"])),
    ]
    parts = [
        Text(VERDICT, "note"),
        *source.figures_of("verdicts"),
        Fold("Every claim under each attacker, and for the other defences", every),
    ]
    return Section("verdicts", "How they are reached", "How the verdicts are reached", parts)


def overview(source: Source) -> Section:
    parts = [
        *source.figures_of("overview"),
        *noted(defences.overview(source.tables["results"], source.headline), OVERVIEW),
        *noted(defences.changes(source.tables["differences"], source.headline), CHANGES),
    ]
    return Section("overview", "Overview", "Overview", parts)


def privacy(source: Source) -> Section:
    results, correctness = source.tables["results"], study.attack_by(source.settings, "correctness")
    every = [
        *noted(attacks.every_attack(results, source.tables["operating"]), ATTACKS),
        *noted(agreement.agreement_table(source.tables["agreement"]), AGREEMENT),
    ]
    parts = [
        *noted(attacks.privacy_matrix(results, correctness), ATTACKERS),
        Fold("Every attack on every defence, with intervals and low false-positive rates", every),
        *source.figures_of("privacy"),
    ]
    return Section("privacy", "Privacy", "Privacy: which attacker breaks which defence", parts)


def single_examples(source: Source) -> Section:
    exposed = source.tables["exposed"]
    views = [
        examples.exposure_view(source.tables, name, source.datasets[entry["dataset"]])
        for name, entry in source.reported["experiments"].items()
        if not pick(exposed, experiment=name, defence=BASELINE).empty
    ]
    shown = [part for view in views for part in _exposed(view)] or [Text(NOT_TOLD)]
    parts = [*source.figures_of("examples"), *shown]
    return Section("examples", "Examples", "Single examples: who is exposed?", parts)


def _exposed(view: Mapping[str, Any]) -> list[Part]:
    """Return the parts on an experiment's most exposed examples and on who protects them."""
    most = " or more" if view["lowest_shown"] < 0.5 else ", the most there is,"
    heading = (
        f"{readable(view['experiment'])}: {len(view['examples'])} of the {view['n_highest']} examples, of "
        f"{view['n_examples']:,}, whose exposure on the baseline is {view['lowest_shown']:.2f}{most} above chance"
    )
    note = EXPOSED.format(view["n_most"])
    by_luck = Text(BY_LUCK.format(view["n_by_luck"]), "note")
    return [Heading(heading), by_luck, Faces(view["examples"]), *noted(view["table"], note)]


def audit(source: Source) -> Section:
    audits, contradicted = defences.audits(source.tables)
    promised = noted(defences.guarantees_table(source.tables["guarantees"]), GUARANTEES)
    parts = [
        *map(_contradiction, contradicted),
        *noted(audits, AUDITS),
        *(promised or [Text("No defence of this study promises differential privacy.")]),
        *source.figures_of("audit"),
    ]
    heading = "Privacy audit: what is promised, and the least that the attacks show"
    return Section("audit", "Audit", heading, parts)


def _contradiction(row: Mapping[str, Any]) -> Text:
    where = f"{readable(row['defence'])}, {readable(row['experiment'])}"
    said = [
        f"{row['n_correct']} of {row['n_guesses']} guesses by {readable(row['attack'])} ({readable(row['attacker'])}) are right.",
        f"If the promise held, this many right guesses would have a probability below {100 - PERCENT} %. "
        "Either the training is not what the accountant counted, or this is chance.",
    ]
    if row["promised"] is not None:
        said.insert(
            1, f"The accountant promises epsilon {row['promised']:.3g} at delta {row['delta']:g}."
        )
    return Text(" ".join(said), "failed", f"{where}: an attack contradicts the promise.")


def utility(source: Source) -> Section:
    return Section("utility", "Utility", "Utility", source.figures_of("utility"), UTILITY)


def compression(source: Source) -> Section:
    return Section(
        "compression", "Compression", "Compression", source.figures_of("compression"), COMPRESSION
    )


def theory(source: Source) -> Section:
    projected = defences.projections(source.tables["projection"])
    parts = [*source.figures_of("theory"), *noted(projected, PROJECTION)]
    return Section("theory", "Theory", "The theory, measured", parts, THEORY)


def cost(source: Source) -> Section:
    measured = run.read_benchmarks(source.folder, source.records)
    parts = [*source.figures_of("cost"), run.timings(measured), run.slowest(measured)]
    return Section("cost", "Cost", "Cost", parts)


SECTIONS: tuple[Callable[[Source], Section], ...] = (
    claims, overview, privacy, single_examples, audit, utility, compression, theory, cost, method, provenance,
    environment,
)  # fmt: skip
