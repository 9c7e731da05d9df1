"""The choice among parts and their learned combination, on planted scores."""

import dataclasses

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from mia_pruning.attacks.combining import (
    Part,
    against_class_thresholds,
    choose,
    combined_scores,
    fit_logistic,
    fit_with_trees,
    halves,
    learn,
)

N = 1000


@pytest.fixture
def planted(made_up):
    """A function that makes signals and parts, each of noise plus this strength for members."""

    def make(*strengths, seed=0, protocol="pool", n_shadows=6):
        targets, shadows, members = made_up(seed, n_shadows, N, protocol)
        rng = np.random.default_rng(seed + 100)

        def scores(strength, truth):
            return strength * truth + rng.normal(size=truth.shape)

        numbered = enumerate(strengths)
        parts = [
            Part(f"part {n}", scores(s, members), scores(s, shadows.membership))
            for n, s in numbered
        ]
        return targets, shadows, members, parts

    return make


def useless(rows, members):
    """A combination that has learned nothing."""
    return lambda asked: np.sin(1e6 * asked[:, 0])


def mean_auc(scores, members):
    return np.mean([roc_auc_score(*row) for row in zip(members, scores, strict=True)])


def of_targets(scores, members, targets):
    """Scores and members of the candidates, (n_targets, n)."""
    kept = [array[targets.candidates].reshape(len(members), -1) for array in (scores, members)]
    return mean_auc(*kept)


@pytest.mark.parametrize("protocol", ["pool", "disjoint"])
def test_the_combination_of_independent_signs_beats_each(planted, protocol):
    targets, shadows, members, parts = planted(1.0, 1.0, 0.5, protocol=protocol)
    found = of_targets(combined_scores(parts, targets, shadows), members, targets)
    alone = [of_targets(part.of_targets, members, targets) for part in parts]
    assert found > max(alone) + 0.05


def test_a_worse_combination_is_not_taken(planted, caplog):
    targets, shadows, _, parts = planted(0.5, 2.0, 1.0)
    with caplog.at_level("INFO", logger="mia_pruning"):
        found = combined_scores(parts, targets, shadows, fit=useless)
    assert "chosen: part 1" in caplog.text
    assert np.ptp(found - parts[1].of_targets) < 1e-12


def test_of_equal_parts_the_first_is_taken(planted):
    _, shadows, _, (part,) = planted(1.0)
    same = Part("same", part.of_targets, 2 * part.of_shadows)
    assert choose([part, same], shadows) is part
    assert choose([same, part], shadows) is same


def test_the_choice_does_not_depend_on_the_targets(planted, caplog):
    """Scores of the targets are shuffled, or say the opposite: the same part is taken."""
    targets, shadows, members, parts = planted(0.3, 2.0)
    rng = np.random.default_rng(0)
    misleading = [
        Part(parts[0].name, parts[0].of_targets + 9 * members, parts[0].of_shadows),
        Part(parts[1].name, rng.permuted(parts[1].of_targets, axis=1), parts[1].of_shadows),
    ]
    assert choose(misleading, shadows) is misleading[1]
    with caplog.at_level("INFO", logger="mia_pruning"):
        for changed in (parts, misleading):
            combined_scores(changed, targets, shadows)
    first, second = caplog.messages
    assert first == second


def test_without_a_leak_the_choice_makes_none(planted):
    """The best of six useless parts is still useless on the targets."""
    found = []
    for seed in range(15):
        targets, shadows, members, parts = planted(*6 * [0.0], seed=seed)
        scores = combined_scores(parts, targets, shadows)
        found.append(mean_auc(scores, members))
    standard_error = np.sqrt(1 / (12 * N / 4) / (2 * len(found)))
    assert np.mean(found) == pytest.approx(0.5, abs=3 * standard_error)


def test_without_a_leak_the_combination_has_none_on_the_shadows(planted):
    """A fit that remembers its rows scores them by heart; rows of the other half it does not know."""

    def by_heart(rows, members):
        known = {row.tobytes(): member for row, member in zip(rows, members, strict=True)}
        return lambda asked: np.array([known.get(row.tobytes(), 0.5) for row in asked])

    for n_shadows in (2, 6):
        _, shadows, _, parts = planted(0.0, 0.0, n_shadows=n_shadows)
        assert (learn(parts, shadows, by_heart).of_shadows == 0.5).all()


def test_a_target_gets_the_mean_of_both_halves(planted):
    _, shadows, _, parts = planted(1.0, 0.5)
    half = halves(shadows)
    rows = np.stack([part.of_shadows for part in parts], axis=-1)
    asked = np.stack([part.of_targets for part in parts], axis=-1)
    scorers = [fit_logistic(rows[of], shadows.membership[of]) for of in (half, ~half)]
    found = learn(parts, shadows)
    for target, scores in zip(asked, found.of_targets, strict=True):
        wanted = (scorers[0](target) + scorers[1](target)) / 2
        np.testing.assert_allclose(scores, wanted)
    np.testing.assert_allclose(found.of_shadows[half], scorers[1](rows[half]))
    np.testing.assert_allclose(found.of_shadows[~half], scorers[0](rows[~half]))


def test_halves_hold_whole_pairs_of_twins(made_up):
    _, shadows, _ = made_up(n_shadows=6)
    assert halves(shadows).all(axis=1).tolist() == [False, False, True, True, False, False]
    apart = shadows.of_models([0, 2, 1, 3], shadows.membership[[0, 2, 1, 3]])
    assert halves(apart).all(axis=1).tolist() == [False, True, False, True]


@pytest.mark.parametrize("n_shadows", [1, 2])
def test_one_pair_is_halved_by_example(made_up, n_shadows):
    _, shadows, _ = made_up(n_shadows=2)
    few = shadows.of_models(slice(n_shadows), shadows.membership[:n_shadows])
    half = halves(few)
    assert (half == half[0]).all()
    assert half[0].mean() == 0.5


def test_the_regression_gives_log_odds_of_membership():
    """Of two normals a standard deviation apart these are x - 1 / 2; a constant part says nothing."""
    rng = np.random.default_rng(0)
    members = rng.random(200_000) < 0.3
    rows = np.stack([members + rng.normal(size=members.size), np.full(members.size, 7.0)], axis=-1)
    found = fit_logistic(rows, members)(np.array([[-1.0, 7.0], [0.5, 7.0], [2.0, 7.0]]))
    assert expit(found) == pytest.approx(expit(np.array([-1.5, 0.0, 1.5])), abs=0.01)


def test_an_unequal_share_of_members_does_not_move_the_log_odds():
    """Three quarters of the rows are members: a row that tells nothing still gets log-odds of 0."""
    rng = np.random.default_rng(0)
    members = rng.random(20_000) < 0.75
    rows = rng.normal(size=(members.size, 2))
    scores = fit_with_trees(0, 10)(rows, members)(rows)
    assert np.mean(scores) == pytest.approx(0.0, abs=0.05)


def test_trees_find_what_no_weighted_sum_does(planted):
    """Members have equal signs of both parts, non-members unequal ones."""
    _, shadows, _, parts = planted(0.0, 0.0)
    first, second = (part.of_shadows for part in parts)
    sign = np.where(shadows.membership, 1, -1)
    crossed = dataclasses.replace(parts[1], of_shadows=np.abs(second) * np.sign(first) * sign)
    found = learn([parts[0], crossed], shadows, fit_with_trees(0))
    assert mean_auc(found.of_shadows, shadows.membership) > 0.9
    linear = learn([parts[0], crossed], shadows).of_shadows
    assert mean_auc(linear, shadows.membership) < 0.6


def test_only_examples_that_every_part_scores_are_compared(planted):
    """A part that is better on the examples which it scores must not win by being asked less."""
    _, shadows, _, (good, better) = planted(1.0, 2.0)
    easy = np.arange(N) < N // 4
    truth = np.where(shadows.membership, 3.0, -3.0)
    good = dataclasses.replace(good, of_shadows=good.of_shadows + np.where(easy, truth, 0.0))
    few = np.where(easy, better.of_shadows, np.nan)
    assert choose([dataclasses.replace(better, of_shadows=few), good], shadows) is good


def test_scores_that_a_part_lacks_stay_missing_on_a_target(planted):
    _, shadows, _, parts = planted(1.0, 1.0)
    lacking = parts[0].of_targets.copy()
    lacking[:, :5] = np.nan
    found = learn([dataclasses.replace(parts[0], of_targets=lacking), parts[1]], shadows)
    assert np.isnan(found.of_targets).all(axis=0).nonzero()[0].tolist() == [0, 1, 2, 3, 4]


def test_one_threshold_for_each_class(planted):
    targets, shadows, members, (part,) = planted(2.0)
    raised = 5.0 * shadows.labels
    part = Part(part.name, part.of_targets + raised, part.of_shadows + raised)
    by_class = against_class_thresholds(part, targets, shadows)
    assert mean_auc(by_class.of_targets, members) > mean_auc(part.of_targets, members) + 0.1
    found = combined_scores([part], targets, shadows, fit=useless, per_class=True)
    right = ((found > 0) == members).mean()
    assert right == pytest.approx(0.84, abs=0.03)


def test_thresholds_of_a_class_are_set_on_the_other_half(planted):
    """A shadow's own scores do not move its thresholds."""
    targets, shadows, _, (part,) = planted(1.0)
    half = halves(shadows)
    moved = dataclasses.replace(part, of_shadows=part.of_shadows + np.where(half, 9.0, 0.0))
    found, of_moved = (
        against_class_thresholds(each, targets, shadows).of_shadows for each in (part, moved)
    )
    np.testing.assert_allclose(of_moved[half], found[half] + 9.0)


def test_shadows_of_one_class_are_refused(planted):
    targets, shadows, _, parts = planted(1.0)
    members_only = dataclasses.replace(shadows, membership=np.ones_like(shadows.membership))
    with pytest.raises(ValueError, match="members and non-members are both needed"):
        combined_scores(parts, targets, members_only)
