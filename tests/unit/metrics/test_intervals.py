import numpy as np
import pytest
from scipy import stats

from mia_pruning.metrics.intervals import draw, interval, over_targets, quantile
from mia_pruning.metrics.membership import weighted_roc

UNBOUNDED = (-np.inf, np.inf)
N_TARGETS, N_EXAMPLES, N_REPLICATES = 10, 300, 100


def test_replicate_zero_is_the_sample_itself():
    draws = draw(5, 7, 9, 20, np.random.default_rng(0))
    for weights, size in ((draws.targets, 5), (draws.pool, 7), (draws.test, 9)):
        assert weights.shape == (21, size)
        assert (weights[0] == 1).all()
    values = np.random.default_rng(1).random((21, 5))
    assert over_targets(values, draws)[0] == pytest.approx(values[0].mean(), rel=1e-6)


def test_every_replicate_draws_as_many_as_there_are_with_replacement():
    draws = draw(5, 70, 9, 500, np.random.default_rng(0))
    for weights in (draws.targets, draws.pool, draws.test):
        size = weights.shape[1]
        assert (weights.sum(axis=1) == size).all()
        assert (weights == weights.round()).all()
        assert weights[1:].var() == pytest.approx((size - 1) / size, rel=0.1)  # a multinomial count's
        assert np.abs(weights[1:].mean(axis=0) - 1).max() < 5 / np.sqrt(500)


def test_targets_pool_and_test_are_drawn_independently():
    draws = draw(40, 40, 40, 200, np.random.default_rng(0))
    drawn = [draws.targets[1:].ravel(), draws.pool[1:].ravel(), draws.test[1:].ravel()]
    assert np.abs(np.corrcoef(drawn)[np.triu_indices(3, k=1)]).max() < 0.05


def test_the_generator_decides_the_draws():
    one, same, other = (draw(5, 7, 9, 20, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert (one.pool == same.pool).all()
    assert (one.pool != other.pool).any()


def test_over_targets_equals_repeating_targets():
    draws = draw(4, 1, 1, 30, np.random.default_rng(0))
    values = np.random.default_rng(1).random((31, 4))
    slow = [np.repeat(row, weights.astype(int)).mean() for row, weights in zip(values, draws.targets, strict=True)]
    assert over_targets(values, draws) == pytest.approx(slow, rel=1e-6)


def test_the_estimate_is_the_mean_of_replicate_zero_over_seeds():
    replicates = [np.array([1.0, 7.0, 9.0]), np.array([2.0, -5.0, 5.0])]
    assert interval(replicates, [3, 3], UNBOUNDED).estimate == 1.5


def test_a_paired_difference_of_identical_inputs_is_exactly_zero():
    draws = draw(6, 50, 20, 100, np.random.default_rng(0))
    values = np.random.default_rng(1).normal(size=(101, 6))
    difference = over_targets(values, draws) - over_targets(values.copy(), draws)
    found = interval([difference], [6], (-1.0, 1.0))
    assert (found.estimate, found.low, found.high) == (0.0, 0.0, 0.0)


def test_pairing_removes_what_both_share():
    draws = draw(6, 50, 20, 200, np.random.default_rng(0))
    shared = np.random.default_rng(1).normal(size=6) * np.ones((201, 1))
    first, second = over_targets(shared + 0.1, draws), over_targets(shared, draws)
    paired, alone = interval([first - second], [6], UNBOUNDED), interval([first], [6], UNBOUNDED)
    assert paired.high - paired.low < 1e-5
    assert paired.estimate == pytest.approx(0.1)
    assert alone.high - alone.low > 0.5


def test_one_seed_equals_the_formula():
    replicates = np.random.default_rng(0).normal(3, 0.2, 401)
    found = interval([replicates], [10], UNBOUNDED)
    half = stats.t.ppf(0.975, 9) * np.sqrt(np.var(replicates[1:], ddof=1) * 10 / 9)
    assert (found.estimate, found.low) == pytest.approx((replicates[0], replicates[0] - half))
    assert found.high - found.estimate == pytest.approx(found.estimate - found.low)


def test_seeds_are_pooled_as_independent():
    rng = np.random.default_rng(0)
    replicates = [rng.normal(3, 0.2, 101), rng.normal(4, 0.5, 101)]
    found = interval(replicates, [10, 6], UNBOUNDED)
    variance = replicates[0][1:].var(ddof=1) * 10 / 9 + replicates[1][1:].var(ddof=1) * 6 / 5
    half = stats.t.ppf(0.975, 9 + 5) * np.sqrt(variance) / 2
    assert found.estimate == pytest.approx((replicates[0][0] + replicates[1][0]) / 2)
    assert found.high - found.low == pytest.approx(2 * half)


def test_more_seeds_narrow_the_interval():
    rng = np.random.default_rng(0)
    replicates = [rng.normal(0, 1, 401) for _ in range(4)]
    one, four = interval(replicates[:1], [10], UNBOUNDED), interval(replicates, [10] * 4, UNBOUNDED)
    assert (four.high - four.low) / (one.high - one.low) == pytest.approx(0.5, rel=0.2)


def test_quantiles_are_students_where_targets_vary():
    assert quantile([10]) == pytest.approx(2.262157)
    assert quantile([10, 6]) == pytest.approx(2.144787)
    assert quantile([1]) == quantile([1, 1]) == pytest.approx(1.959964)


def test_the_interval_stays_within_its_bounds():
    replicates = np.array([0.98, 0.9, 1.0, 0.95, 1.0])
    assert interval([replicates], [5], (0.0, 1.0)).high == 1.0
    assert interval([1 - replicates], [5], (0.0, 1.0)).low == 0.0
    assert interval([replicates], [5], UNBOUNDED).high > 1.0


def covered(values, draws, truth):
    found = interval([over_targets(values, draws)], [N_TARGETS], UNBOUNDED)
    return found.low <= truth <= found.high


def of_a_mean(rng, draws):
    """Cells with an effect of the model, one of the example and noise; the mean over both is estimated."""
    cells = 0.3 * rng.normal(size=(N_TARGETS, 1)) + rng.normal(size=N_EXAMPLES) + rng.normal(size=(N_TARGETS, N_EXAMPLES))
    return covered(draws.pool @ cells.T / N_EXAMPLES, draws, 0.0)


def of_an_auc(rng, draws):
    """Members score higher by an amount that varies from model to model; examples have an effect that all models share."""
    first = rng.permuted(np.tile(np.arange(N_EXAMPLES) < N_EXAMPLES // 2, (N_TARGETS // 2, 1)), axis=1)
    members = np.stack([first, ~first], axis=1).reshape(N_TARGETS, N_EXAMPLES)
    leak = 0.6 + 0.3 * rng.normal(size=(N_TARGETS, 1))
    scores = leak * members + rng.normal(size=N_EXAMPLES) + rng.normal(size=(N_TARGETS, N_EXAMPLES))
    values = [weighted_roc(s, m, draws.pool).auc() for s, m in zip(scores, members, strict=True)]
    return covered(np.stack(values, axis=1), draws, stats.norm.cdf(0.6 / np.sqrt(2 * 2 + 0.3**2)))


@pytest.mark.parametrize(("simulation", "n_studies"), [(of_a_mean, 400), (of_an_auc, 150)])
def test_the_interval_covers_the_truth_in_19_of_20_studies(simulation, n_studies):
    rng = np.random.default_rng(0)
    hits = [simulation(rng, draw(N_TARGETS, N_EXAMPLES, 1, N_REPLICATES, rng)) for _ in range(n_studies)]
    assert 0.91 <= np.mean(hits) <= 0.99
