import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from mia_pruning import storage
from mia_pruning.data.split import make_split
from mia_pruning.metrics.names import THEORY_METRICS, UTILITY_METRICS
from mia_pruning.stages.evaluate import evaluate_defence
from mia_pruning.stages.summarise import Key, read_evaluation
from mia_pruning.tables import written_by

#: 480 non-members of four targets, which resolve a false-positive rate of 10 %, and no lower one
POOL = {"protocol": "pool", "examples": 240, "models": 4, "reference": 4, "test": 30}
DISJOINT = {**POOL, "protocol": "disjoint", "shadow_examples": 20, "shadow_models": 2}
N_LABELLED = 300
LABELS = np.arange(N_LABELLED) % 5
PRIVACY_METRICS = ("attack_accuracy", "auc", "gain", "tpr_at_10_percent_fpr")


@pytest.fixture(params=["pool", "disjoint"])
def evaluated(request, tmp_path):
    """Evaluates planted logits and scores; returns the evaluation, split, logits, scores and the folder."""
    section = POOL if request.param == "pool" else DISJOINT
    split = make_split(section, LABELS, np.arange(N_LABELLED), np.random.default_rng(0))
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(len(split.membership), split.examples.size, 5)).astype(np.float32)
    logits[:, np.arange(split.examples.size), LABELS[split.examples]] += 1
    scores = rng.normal(size=(4, split.pool.size)) + 0.5 * split.membership[split.is_target]
    storage.write_arrays(tmp_path / "split.npz", {}, **split.as_arrays())
    storage.write_json(tmp_path / "dataset.json", {})
    storage.write_array(tmp_path / "images.npy", np.zeros((N_LABELLED, 1, 1, 1), np.uint8))
    storage.write_array(tmp_path / "labels.npy", LABELS)
    storage.write_array(tmp_path / "signals.npy", logits)
    told = {
        "unknown": split.candidates[split.is_target],
        "failure": np.array(""),
        "population": np.array(0),
    }
    storage.write_arrays(tmp_path / "scores.npz", {}, scores=scores, **told)

    def run(name="a", seed=0, attacks=None, eligible=("net",)):
        evaluate_defence(
            tmp_path / "dataset.json",
            tmp_path / "split.npz",
            tmp_path / "signals.npy",
            attacks or {("net", "adaptive"): tmp_path / "scores.npz"},
            eligible=eligible,
            seed=seed,
            n_replicates=120,
            outputs={
                "evaluation": tmp_path / f"{name}.npz",
                **{
                    table: tmp_path / f"{name}_{table}.csv"
                    for table in written_by("evaluate_defence")
                },
            },
            record={"rule": "r"},
        )
        return read_evaluation(str(tmp_path / f"{name}.npz"))

    return run, split, logits, scores, tmp_path


def test_the_cells_are_all_metrics_with_the_replicates_of_each(evaluated):
    run, *_ = evaluated
    found = run()
    utility = [Key("", "", metric) for metric in (*UTILITY_METRICS, *THEORY_METRICS)]
    assert list(found.replicates) == [
        *utility,
        *(Key("net", "adaptive", metric) for metric in PRIVACY_METRICS),
        *(Key("strongest", "any", metric) for metric in PRIVACY_METRICS if metric != "gain"),
    ]
    for values in found.replicates.values():
        assert values.per_target.shape == (4,)
        assert values.examples_drawn.shape == values.both_drawn.shape == (120,)
        assert values.examples_drawn.std() > 0
    assert found.n_targets == 4
    assert found.n_examples == {
        key: 30 if key.metric == "test_accuracy" else 240 for key in found.replicates
    }


def test_accuracies_equal_a_slow_count(evaluated):
    run, split, logits, *_ = evaluated
    found = run()
    for target in range(4):
        right = {
            example: logits[target, i].argmax() == LABELS[example]
            for i, example in enumerate(split.examples)
        }
        train = np.mean([right[example] for example in split.members(target)])
        test = np.mean([right[example] for example in split.test])
        values = [
            found.replicates[Key("", "", metric)].per_target[target] for metric in UTILITY_METRICS
        ]
        assert values == pytest.approx([train, test, train - test], abs=1e-6)


def test_membership_metrics_equal_sklearns_on_each_targets_candidates(evaluated):
    run, split, _, scores, _ = evaluated
    found = run()
    for target in range(4):
        rows = split.candidates[target]
        members, values = split.membership[target, rows], scores[target, rows]
        wanted = {
            "auc": roc_auc_score(members, values),
            "attack_accuracy": ((values > 0)[members].mean() + (values <= 0)[~members].mean()) / 2,
        }
        rates = [((values >= t)[~members].mean(), (values >= t)[members].mean()) for t in values]
        wanted["tpr_at_10_percent_fpr"] = max(
            [true for false, true in rates if false <= 0.1], default=0.0
        )
        for metric, value in wanted.items():
            assert found.replicates[Key("net", "adaptive", metric)].per_target[
                target
            ] == pytest.approx(value, abs=1e-6)


def test_defences_of_a_split_share_their_draws_and_seeds_do_not(evaluated):
    run, *_ = evaluated
    one, same, other = run("a"), run("b"), run("c", seed=1)
    for key, values in one.replicates.items():
        np.testing.assert_array_equal(values.both_drawn, same.replicates[key].both_drawn)
        assert (values.both_drawn != other.replicates[key].both_drawn).any()
        assert values.per_target.tolist() == other.replicates[key].per_target.tolist()


def test_attacks_share_their_draws(evaluated):
    run, *_, folder = evaluated
    attacks = {
        ("net", "adaptive"): folder / "scores.npz",
        ("net", "dense_shadows"): folder / "scores.npz",
    }
    found = run(attacks=attacks)
    for metric in PRIVACY_METRICS:
        one, other = (
            found.replicates[Key("net", attacker, metric)]
            for attacker in ("adaptive", "dense_shadows")
        )
        np.testing.assert_array_equal(one.both_drawn, other.both_drawn)


def test_the_roc_curve_is_the_mean_of_the_targets_curves(evaluated):
    run, *_, folder = evaluated
    found = run()
    curve = pd.read_csv(folder / "a_roc.csv")
    assert (curve["tpr"].diff().dropna() >= 0).all()
    assert curve["fpr"].iloc[[0, -1]].tolist() == [0.0, 1.0]
    assert curve["tpr"].iloc[-1] == 1.0
    at = curve.loc[(curve["fpr"] - 0.1).abs().idxmin(), "tpr"]
    assert at == pytest.approx(
        found.replicates[Key("net", "adaptive", "tpr_at_10_percent_fpr")].per_target.mean(),
        abs=0.05,
    )


def test_operating_points_count_over_all_targets_at_thresholds_of_each_ones_own(evaluated):
    run, split, _, scores, folder = evaluated
    run()
    table = pd.read_csv(folder / "a_operating.csv")
    assert table["allowed_fpr"].fillna(-1).tolist() == [-1, 0.1, 0.01, 0.001, 0.0001]
    assert table["resolved"].tolist() == [True, True, False, False, False]
    true = 0
    for target in range(4):
        rows = split.candidates[target]
        members, values = split.membership[target, rows], scores[target, rows]
        true += (values > np.sort(values[~members])[-13])[members].sum()  # 12 of 120 are a tenth
    counts = table[["true_positives", "members", "false_positives", "others"]].to_numpy().tolist()
    candidates, truth = split.candidates[split.is_target], split.membership[split.is_target]
    members, others = scores[truth], scores[candidates & ~truth]
    assert counts[0] == [(members > 0).sum(), 480, (others > 0).sum(), 480]
    assert counts[1] == [true, 480, 48, 480]
    shares = table["true_positives"] / (table["true_positives"] + table["false_positives"])
    assert table.loc[:1, "ppv_50"].tolist() == pytest.approx(shares[:2].tolist())
    assert table.loc[1, "ppv_1"] == pytest.approx(0.01 * true / (0.01 * true + 0.99 * 48))
    assert table.loc[2:, ["ppv_1", "ppv_10", "ppv_50", "ppv_is_bound"]].isna().all(axis=None)
    assert [row[2] for row in counts[2:]] == [4, 0, 0]


def test_a_rate_that_the_population_does_not_resolve_is_marked_with_the_size_that_would(evaluated):
    """Four targets: 10 % need 25 examples, 1 % 250, 0.1 % 2,500; the attack without a population needs none."""
    run, split, _, scores, folder = evaluated
    told = {"unknown": split.candidates[split.is_target], "failure": np.array("")}
    storage.write_arrays(folder / "share.npz", {}, scores=scores, population=np.array(250), **told)
    attacks = {("share", "adaptive"): "share.npz", ("net", "adaptive"): "scores.npz"}
    run(attacks={key: folder / file for key, file in attacks.items()})
    table = pd.read_csv(folder / "a_operating.csv")
    needed = table["population_needed"].fillna(0).groupby(table["attack"]).apply(list)
    assert needed["share"] == [0, 0, 0, 2500, 25000]
    assert needed["net"] == [0, 0, 0, 0, 0]


def test_a_rate_is_a_metric_where_the_non_members_resolve_it(evaluated):
    run, split, _, scores, folder = evaluated
    found, candidates = run(), split.candidates[split.is_target]
    rate = found.replicates[Key("net", "adaptive", "tpr_at_10_percent_fpr")].per_target
    counted = pd.read_csv(folder / "a_operating.csv").set_index("allowed_fpr")["tpr"]
    assert rate.mean() == pytest.approx(counted[0.1])
    few = candidates & (
        np.cumsum(candidates, axis=1) <= 40
    )  # some 80 non-members, of which a tenth are eight
    told = {"unknown": few, "failure": np.array(""), "population": np.array(0)}
    storage.write_arrays(folder / "few.npz", {}, scores=scores, **told)
    found = run(attacks={("few", "adaptive"): folder / "few.npz"})
    assert {key.metric for key in found.replicates if key.attack == "few"} == {
        "attack_accuracy",
        "auc",
        "gain",
    }


def test_an_audit_counts_right_guesses_among_highest_and_lowest_scores(evaluated):
    run, split, _, scores, folder = evaluated
    run()
    table = pd.read_csv(folder / "a_audit.csv").set_index(["target", "n_guesses"])
    assert sorted({n for _, n in table.index}) == [
        4,
        12,
        24,
        48,
        96,
        168,
        240,
    ]  # of 240, shares from 2 to 100 %
    assert table["n_canaries"].unique().tolist() == [240]
    assert table["n_classes"].unique().tolist() == [5]
    for (target, n_guesses), found in table["n_correct"].items():
        rows = split.candidates[target]
        ranked = sorted(zip(scores[target, rows], split.membership[target, rows], strict=True))
        half = n_guesses // 2
        lowest, highest = ranked[:half], ranked[-half:]
        assert found == sum(not member for _, member in lowest) + sum(
            member for _, member in highest
        )


def test_exposures_count_pairs_of_models_that_answer_in_order(evaluated):
    run, split, logits, _, folder = evaluated
    run()
    table = pd.read_csv(folder / "a_exposed.csv").set_index("example")
    assert sorted(table.index) == sorted(split.pool[split.candidates[0]])
    probabilities = softmax(logits.astype(np.float64), axis=-1)
    pairs = [(0, 1), (2, 3)]  # twins: one was trained on an example, one not
    for column, example in enumerate(split.pool):
        if not split.candidates[0, column]:
            continue
        assert table.loc[example, "label"] == LABELS[example]
        p = probabilities[:, column, LABELS[example]]
        for half, pair in zip(("first_half", "second_half"), pairs, strict=True):
            inside, outside = sorted(pair, key=lambda row: not split.membership[row, column])
            assert table.loc[example, half] == (p[inside] > p[outside])
            assert table.loc[example, f"no_leak_{half}"] in (0, 1)
    for half in ("first_half", "second_half"):  # of one pair, to swap its twins turns 0 into 1
        changed = table[half] != table[f"no_leak_{half}"]
        assert changed.mean() == pytest.approx(
            0.5, abs=0.13
        )  # four standard errors of 240 examples


def test_ranks_of_the_gap_between_twins_are_kept_for_the_comparison_of_defences(evaluated):
    run, split, logits, _, folder = evaluated
    run()
    ranks = storage.read_arrays(folder / "a.npz")["twin_ranks"]
    columns = np.flatnonzero(split.candidates[0])
    assert ranks.shape == (2, columns.size)
    probabilities = softmax(logits.astype(np.float64), axis=-1)
    chosen = probabilities[:4, columns, LABELS[split.pool[columns]]]
    odds = np.log(chosen / (1 - chosen))
    for pair, (one, other) in enumerate(((0, 1), (2, 3))):
        sign = np.where(split.membership[one, columns], 1, -1)
        gaps = sign * (odds[one] - odds[other])
        np.testing.assert_array_equal(np.argsort(ranks[pair]), np.argsort(gaps))


def test_agreement_is_of_the_members_that_outsiders_find_at_a_resolved_rate(evaluated, monkeypatch):
    run, split, _, scores, folder = evaluated
    run()
    assert pd.read_csv(folder / "a_agreement.csv").empty  # 480 non-members do not resolve 1 %
    monkeypatch.setattr("mia_pruning.stages.evaluate.FOUND_AT_FPR", 0.1)
    attackers = ("adaptive", "dense_shadows", "known_members")
    run(attacks={("net", attacker): folder / "scores.npz" for attacker in attackers})
    table = pd.read_csv(folder / "a_agreement.csv")
    assert table["metric"].tolist() == ["coverage", "stability"] * 2 + ["jaccard"]
    assert set(table["attacker"]) == {"adaptive", "dense_shadows"}
    found = []
    for target in range(4):
        rows = split.candidates[target]
        members, values = split.membership[target], scores[target]
        threshold = np.sort(values[rows & ~members])[-13]  # 12 of 120 are a tenth
        found.append(members & (values > threshold))
    examples = split.candidates[0]
    assert table.loc[0, "value"] == pytest.approx(np.any(found, axis=0)[examples].mean())
    assert table.loc[4, "value"] == 1
    assert table.loc[4, "n"] == np.sum(found)


def test_the_band_around_the_roc_is_students_over_targets(evaluated):
    run, split, _, scores, folder = evaluated
    run()
    curve = pd.read_csv(folder / "a_roc.csv")
    middle = curve.iloc[(curve["fpr"] - 0.25).abs().idxmin()]
    rates = []
    for target in range(4):
        rows = split.candidates[target]
        members, values = split.membership[target, rows], scores[target, rows]
        allowed = int(middle["fpr"] * (~members).sum() + 1e-9)
        rates.append((values > np.sort(values[~members])[-1 - allowed])[members].mean())
    half = 3.182446 * np.std(rates, ddof=1) / 2
    wanted = [np.mean(rates), np.mean(rates) - half, np.mean(rates) + half]
    assert middle[["tpr", "low", "high"]].tolist() == pytest.approx(wanted, abs=1e-6)


def test_confidences_are_counted_over_the_candidates_of_all_targets(evaluated):
    run, split, logits, _, folder = evaluated
    run()
    table = pd.read_csv(folder / "a_confidence.csv")
    top = softmax(logits[:4, : split.pool.size].astype(np.float64), axis=-1).max(axis=-1)
    log_odds = np.log(top / (1 - top))
    for member in (True, False):
        rows = table[table["member"] == member]
        assert rows["fraction"].sum() == pytest.approx(1)
        chosen = log_odds[split.candidates[:4] & (split.membership[:4] == member)]
        for _, bin_ in rows.iterrows():
            inside = (chosen >= bin_["low"]) & (chosen < bin_["high"])
            assert bin_["fraction"] == pytest.approx(inside.mean(), abs=1e-9)


def test_an_evaluation_carries_its_provenance(evaluated):
    run, *_, folder = evaluated
    run()
    with np.load(folder / "a.npz") as archive:
        assert json.loads(str(archive["provenance"])) == {"rule": "r"}


def test_examples_that_the_attacker_was_told_about_do_not_count(evaluated):
    """Neither in a metric nor in the number of examples that it rests on."""
    run, split, _, scores, folder = evaluated
    candidates = split.candidates[split.is_target]
    unknown = candidates & (np.cumsum(candidates, axis=1) % 2 == 0)
    spoilt = np.where(unknown, scores, np.where(split.membership[split.is_target], 100.0, -100.0))
    told = {"unknown": unknown, "failure": np.array(""), "population": np.array(0)}
    storage.write_arrays(folder / "spoilt.npz", {}, scores=spoilt, **told)
    storage.write_arrays(folder / "honest.npz", {}, scores=np.where(unknown, scores, 0.0), **told)
    names = ("spoilt", "honest")
    found = run(attacks={(name, "known_members"): folder / f"{name}.npz" for name in names})
    for metric in ("attack_accuracy", "auc", "gain"):
        one, other = (Key(name, "known_members", metric) for name in names)
        np.testing.assert_array_equal(
            found.replicates[one].per_target, found.replicates[other].per_target
        )
        np.testing.assert_array_equal(
            found.replicates[one].both_drawn, found.replicates[other].both_drawn
        )
        assert found.n_examples[one] == 120
    members = split.membership[split.is_target][0, unknown[0]]
    auc = found.replicates[Key("spoilt", "known_members", "auc")].per_target[0]
    assert auc == pytest.approx(roc_auc_score(members, scores[0, unknown[0]]), abs=1e-6)


def test_the_strongest_is_one_of_the_attacks_that_every_defence_is_tried_with(evaluated):
    run, split, _, scores, folder = evaluated
    told = {
        "unknown": split.candidates[split.is_target],
        "failure": np.array(""),
        "population": np.array(0),
    }
    storage.write_arrays(
        folder / "best.npz", {}, scores=scores + 9 * split.membership[split.is_target], **told
    )
    attacks = {
        ("net", "adaptive"): folder / "scores.npz",
        ("costly", "adaptive"): folder / "best.npz",
    }
    for eligible, chosen in ((("net", "costly"), "costly"), (("net",), "net")):
        found = run(attacks=attacks, eligible=eligible)
        strongest, taken = (
            found.replicates[Key(*by, "auc")] for by in (("strongest", "any"), (chosen, "adaptive"))
        )
        np.testing.assert_array_equal(strongest.per_target, taken.per_target)
    assert not any(
        key.attack == "strongest" for key in run(attacks=attacks, eligible=()).replicates
    )


def test_an_attack_that_failed_is_named_and_the_others_are_evaluated(evaluated):
    run, split, _, scores, folder = evaluated
    told = {"unknown": split.candidates[split.is_target]}
    storage.write_arrays(
        folder / "broken.npz",
        {},
        scores=np.full_like(scores, np.nan),
        failure=np.array("KeyError: 'x'"),
        **told,
    )
    found = run(
        attacks={
            ("broken", "adaptive"): folder / "broken.npz",
            ("net", "adaptive"): folder / "scores.npz",
        }
    )
    assert {key.attack for key in found.replicates} == {"", "net", "strongest"}
    failures = pd.read_csv(folder / "a_failures.csv")
    assert failures.to_dict("records") == [
        {"attack": "broken", "attacker": "adaptive", "failure": "KeyError: 'x'"}
    ]


@pytest.mark.parametrize(
    ("eligible", "failed"), [(("net",), ()), (("net", "broken"), ("broken adaptive",))]
)
def test_a_failed_attack_that_the_strongest_could_have_been_is_recorded(
    evaluated, eligible, failed
):
    run, split, _, scores, folder = evaluated
    broken = folder / "broken.npz"
    nothing = np.full_like(scores, np.nan)
    storage.write_arrays(
        broken, {}, scores=nothing, unknown=split.candidates, failure=np.array("x")
    )
    attacks = {("broken", "adaptive"): broken, ("net", "adaptive"): folder / "scores.npz"}
    assert run(attacks=attacks, eligible=eligible).failed == failed
