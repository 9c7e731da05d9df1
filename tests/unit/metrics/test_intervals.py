import numpy as np
import pytest
from scipy import stats

from mia_pruning.metrics.intervals import Replicates, draw, interval, quantile, replicates
from mia_pruning.metrics.membership import balanced_accuracy, weighted_roc

UNBOUNDED = (-np.inf, np.inf)
N_TARGETS, N_EXAMPLES = 10, 300


def test_replicate_zero_is_the_sample_itself():
    draws = draw(5, 7, 9, 20, np.random.default_rng(0))
    for weights, size in ((draws.targets, 5), (draws.pool, 7), (draws.test, 9)):
        assert weights.shape == (21, size)
        assert (weights[0] == 1).all()


def test_every_replicate_draws_as_many_as_there_are_with_replacement():
    draws = draw(5, 70, 9, 500, np.random.default_rng(0))
    for weights in (draws.targets, draws.pool, draws.test):
        size = weights.shape[1]
        assert (weights.sum(axis=1) == size).all()
        assert (weights == weights.round()).all()
        assert weights[1:].var() == pytest.approx(
            (size - 1) / size, rel=0.1
        )  # a multinomial count's
        assert np.abs(weights[1:].mean(axis=0) - 1).max() < 5 / np.sqrt(500)


def test_targets_pool_and_test_are_drawn_independently():
    draws = draw(40, 40, 40, 200, np.random.default_rng(0))
    drawn = [draws.targets[1:].ravel(), draws.pool[1:].ravel(), draws.test[1:].ravel()]
    assert np.abs(np.corrcoef(drawn)[np.triu_indices(3, k=1)]).max() < 0.05


def test_the_generator_decides_the_draws():
    one, same, other = (draw(5, 7, 9, 20, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert (one.pool == same.pool).all()
    assert (one.pool != other.pool).any()


def test_both_drawn_equals_repeating_targets_and_examples_drawn_counts_each_target_once():
    draws = draw(4, 1, 1, 30, np.random.default_rng(0))
    values = np.random.default_rng(1).random((31, 4))
    found = replicates(values, draws)
    slow = [
        np.repeat(row, weights.astype(int)).mean()
        for row, weights in zip(values, draws.targets, strict=True)
    ]
    assert found.both_drawn == pytest.approx(slow[1:], rel=1e-6)
    assert found.examples_drawn == pytest.approx(values[1:].mean(axis=1))
    assert found.per_target.tolist() == values[0].tolist()


def toy(seed, n_targets=6, n_replicates=200, spread=1.0):
    draws = draw(n_targets, 50, 20, n_replicates, np.random.default_rng(0))
    rng = np.random.default_rng(seed)
    return replicates(
        spread * rng.normal(size=n_targets) + 0.1 * rng.normal(size=(n_replicates + 1, 1)), draws
    )


def test_the_estimate_is_the_mean_over_targets_and_seeds():
    runs = [
        Replicates(np.array(values), np.zeros(9), np.zeros(9))
        for values in ([1.0, 3.0], [2.0, 4.0])
    ]
    assert interval(runs, UNBOUNDED).estimate == 2.5


def test_a_paired_difference_of_identical_inputs_is_exactly_zero():
    found = interval([toy(1) - toy(1)], (-1.0, 1.0))
    assert (found.estimate, found.low, found.high) == (0.0, 0.0, 0.0)


def test_pairing_removes_what_both_share():
    shifted = Replicates(*(values + 0.1 for values in vars(toy(1)).values()))
    paired, alone = interval([shifted - toy(1)], UNBOUNDED), interval([toy(1)], UNBOUNDED)
    assert paired.high - paired.low < 1e-9
    assert paired.estimate == pytest.approx(0.1)
    assert alone.high - alone.low > 0.5


def test_the_variance_takes_out_what_drawing_both_counts_twice():
    targets, examples, both = (
        np.array([1.0, 2.0, 4.0]),
        np.array([0.0, 1.0, -1.0]),
        np.array([0.0, 2.0, -2.0]),
    )
    part, of_examples, whole = Replicates(targets, examples, both).variances()
    assert part == pytest.approx(targets.var(ddof=1) / 3)
    assert of_examples == pytest.approx(1.0)
    cells = 4.0 - part * 2 / 3 - 1.0
    assert whole == pytest.approx(max(part + 1.0 - cells, part, 1.0))


def test_the_variance_is_never_below_that_of_targets_or_examples_alone():
    part, _, whole = Replicates(
        np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([-9.0, 9.0])
    ).variances()
    assert whole == max(part, 0.5)


def test_one_target_a_seed_covers_examples_only():
    run = Replicates(
        np.array([0.6]), np.random.default_rng(0).normal(0.6, 0.02, 400), np.full(400, 0.6)
    )
    found = interval([run], UNBOUNDED)
    assert found.high - 0.6 == pytest.approx(1.959964 * run.examples_drawn.std(ddof=1))


def test_where_targets_decide_the_quantile_is_students_with_one_degree_less_than_targets():
    run = Replicates(np.random.default_rng(0).normal(size=10), np.zeros(50), np.zeros(50))
    found = interval([run], UNBOUNDED)
    assert found.high - found.estimate == pytest.approx(
        stats.t.ppf(0.975, 9) * run.per_target.std(ddof=1) / np.sqrt(10)
    )


def test_models_of_seeds_are_independent_and_their_examples_may_be_the_same():
    runs = [toy(1), toy(2, n_targets=9, spread=0.5)]
    (first, shared, one), (second, other, two) = (run.variances() for run in runs)
    whole = one - shared + two - other + (np.sqrt(shared) + np.sqrt(other)) ** 2
    freedom = whole**2 / (first**2 / 5 + second**2 / 8)
    found = interval(runs, UNBOUNDED)
    assert found.estimate == pytest.approx(
        (runs[0].per_target.mean() + runs[1].per_target.mean()) / 2
    )
    assert found.high - found.low == pytest.approx(
        2 * stats.t.ppf(0.975, freedom) * np.sqrt(whole) / 2
    )


def test_repeating_a_study_on_the_same_examples_does_not_average_their_luck_out():
    """Eight models of each of three seeds on one pool, whose examples differ: what they share decides the interval."""
    rng, hits = np.random.default_rng(0), []
    for _ in range(150):
        shared = rng.normal(size=N_EXAMPLES)
        draws = [draw(8, N_EXAMPLES, 1, 100, rng) for _ in range(3)]
        runs = [
            replicates(d.pool @ (shared + 0.3 * rng.normal(size=(8, N_EXAMPLES))).T / N_EXAMPLES, d)
            for d in draws
        ]
        found = interval(runs, UNBOUNDED)
        hits.append(found.low <= 0 <= found.high)
    assert np.mean(hits) >= 0.92


def test_quantiles_are_students_and_in_the_limit_normal():
    assert quantile(9) == pytest.approx(2.262157)
    assert quantile(np.inf) == pytest.approx(1.959964)


def test_the_interval_stays_within_its_bounds():
    run = Replicates(
        np.array([0.98, 0.9, 1.0]), np.array([0.95, 1.0, 0.9]), np.array([0.95, 1.0, 0.9])
    )
    assert interval([run], (0.0, 1.0)).high == 1.0
    assert (
        interval([Replicates(*(1 - values for values in vars(run).values()))], (0.0, 1.0)).low
        == 0.0
    )
    assert interval([run], UNBOUNDED).high > 1.0


def covered(values, draws, truth):
    found = interval([replicates(values, draws)], UNBOUNDED)
    return found.low <= truth <= found.high


def of_a_mean(rng, draws):
    """Cells with an effect of the model, one of the example and noise; the mean over both is estimated."""
    cells = (
        0.3 * rng.normal(size=(N_TARGETS, 1))
        + rng.normal(size=N_EXAMPLES)
        + rng.normal(size=(N_TARGETS, N_EXAMPLES))
    )
    return covered(draws.pool @ cells.T / N_EXAMPLES, draws, 0.0)


LEAK, LEAKS_SPREAD = 0.8, 0.3


def attacked(rng, leak=LEAK, shared=None):
    """Scores and membership (n_targets, n_examples).

    Members score higher by an amount that varies from model to model, on average by `leak`; examples have an effect that all
    models share, and that defences have in common where `shared` is given.
    """
    first = rng.permuted(
        np.tile(np.arange(N_EXAMPLES) < N_EXAMPLES // 2, (N_TARGETS // 2, 1)), axis=1
    )
    members = np.stack([first, ~first], axis=1).reshape(N_TARGETS, N_EXAMPLES)
    leaks = leak + LEAKS_SPREAD * rng.normal(size=(N_TARGETS, 1))
    shared = rng.normal(size=N_EXAMPLES) if shared is None else shared
    return leaks * members + shared + rng.normal(size=(N_TARGETS, N_EXAMPLES)), members


OTHERS, MEMBERS = stats.norm(0, np.sqrt(2)), stats.norm(LEAK, np.sqrt(2 + LEAKS_SPREAD**2))


def true_auc(leak):
    return stats.norm.cdf(leak / np.sqrt(4 + LEAKS_SPREAD**2))


def aucs(scores, members, draws):
    return np.stack(
        [weighted_roc(s, m, draws.pool).auc() for s, m in zip(scores, members, strict=True)], axis=1
    )


def of_an_auc(rng, draws):
    return covered(aucs(*attacked(rng), draws), draws, true_auc(LEAK))


def of_an_accuracy(rng, draws):
    scores, members = attacked(rng)
    values = [
        balanced_accuracy(s - LEAK / 2, m, draws.pool) for s, m in zip(scores, members, strict=True)
    ]
    return covered(
        np.stack(values, axis=1), draws, (MEMBERS.sf(LEAK / 2) + OTHERS.cdf(LEAK / 2)) / 2
    )


def of_a_rate(rng, draws, fpr=0.1):
    """The true-positive rate within so many false positives, fifteen of a target; targets' scores differ in scale."""
    scores, members = attacked(rng)
    scores = scores * np.exp(0.3 * rng.normal(size=(N_TARGETS, 1)))
    values = [
        weighted_roc(s, m, draws.pool).tpr_at(fpr) for s, m in zip(scores, members, strict=True)
    ]
    return covered(np.stack(values, axis=1), draws, MEMBERS.sf(OTHERS.isf(fpr)))


def of_a_low_rate(rng, draws):
    """Within one false positive of a target."""
    return of_a_rate(rng, draws, fpr=0.01)


def of_a_difference(rng, draws):
    """Of the AUCs of two defences, whose examples are alike in difficulty."""
    shared = rng.normal(size=N_EXAMPLES)
    one, other = (
        replicates(aucs(*attacked(rng, leak, shared), draws), draws) for leak in (LEAK, 0.5)
    )
    found = interval([one - other], UNBOUNDED)
    return found.low <= true_auc(LEAK) - true_auc(0.5) <= found.high


@pytest.mark.parametrize(
    ("simulation", "n_studies"),
    [
        (of_a_mean, 800),
        (of_an_auc, 500),
        (of_an_accuracy, 800),
        (of_a_rate, 500),
        (of_a_low_rate, 500),
        (of_a_difference, 400),
    ],
)
def test_the_interval_covers_the_truth_in_93_to_97_of_100_studies(simulation, n_studies):
    rng = np.random.default_rng(0)
    hits = np.mean(
        [simulation(rng, draw(N_TARGETS, N_EXAMPLES, 1, 150, rng)) for _ in range(n_studies)]
    )
    most = (
        1.0 if simulation is of_a_low_rate else 0.97
    )  # of the extreme rate the interval is too wide
    assert 0.93 <= hits <= most
