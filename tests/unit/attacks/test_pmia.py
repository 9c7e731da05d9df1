"""PMIA against slow loops in both protocols; its proxies never include the example itself."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import norm

from mia_pruning.attacks.lira import answers
from mia_pruning.attacks.pmia import of_proxies, pmia
from mia_pruning.attacks.references import References
from mia_pruning.metrics.membership import weighted_roc


def slow(shadows, *, proxies, n_proxies, variance):
    """One example at a time: its proxies, their answers inside, and two normal densities."""
    values, member = answers(shadows.logits, shadows.labels), shadows.membership
    labels = shadows.labels if proxies != "global" else 0 * shadows.labels
    n_shadows, n = values.shape

    def of(others, x, inside):
        return [values[s, x] for s in others if member[s, x] == inside]

    def chosen(others, x):
        candidates = [z for z in range(n) if z != x and labels[z] == labels[x]]
        if proxies != "instance":
            return candidates
        usable = [z for z in candidates if of(others, z, True) and of(others, z, False)]
        usable.sort(key=lambda z: np.mean(of(others, z, False)))
        easier = sum(np.mean(of(others, z, False)) < np.mean(of(others, x, False)) for z in usable)
        own = bool(of(others, x, True) and of(others, x, False))
        first = min(max(easier - (n_proxies + own) // 2, 0), max(len(usable) - n_proxies, 0))
        return usable[first : first + n_proxies]

    def freedom_and_squares(known):
        return max(len(known) - 1, 0), sum((y - np.mean(known)) ** 2 for y in known)

    pairs = [freedom_and_squares(of(range(n_shadows), x, False)) for x in range(n)]
    pooled = math.sqrt(sum(squares for _, squares in pairs) / sum(free for free, _ in pairs))

    def score(others, logits, x):
        answer, outside = answers(logits[x], shadows.labels[x]), of(others, x, False)
        inside = [y for z in chosen(others, x) for y in of(others, z, True)]
        spread = pooled if variance == "pooled" else np.std(outside, ddof=1)
        borrowed = norm.logpdf(answer, np.mean(inside), np.std(inside, ddof=1))
        return borrowed - norm.logpdf(answer, np.mean(outside), spread)

    return score


#: even and odd numbers of proxies, and more than there are
KINDS = [("global", 20), ("class", 20), ("instance", 2), ("instance", 5), ("instance", 90)]


@pytest.mark.parametrize("protocol", ["pool", "disjoint"])
@pytest.mark.parametrize("variance", ["pooled", "per_example"])
@pytest.mark.parametrize(("proxies", "n_proxies"), KINDS)
def test_scores_equal_slow_loop(made_up, assert_follows, proxies, n_proxies, variance, protocol):
    targets, shadows, _ = made_up(4, n_shadows=6, n=36, protocol=protocol)
    options = {"proxies": proxies, "n_proxies": n_proxies, "variance": variance}
    found = pmia(targets, shadows, None, **options)
    assert_follows(found, targets, shadows, slow(shadows, **options))


@pytest.mark.parametrize("near", [None, 4])
def test_answers_on_an_example_of_shadows_trained_on_it_are_never_used_for_it(made_up, near):
    _, shadows, _ = made_up(5, n=60)
    values, nothing = answers(shadows.logits, shadows.labels), np.empty((6, 0))
    changed = np.where(shadows.membership & (np.arange(60) == 7), values + 100, values)
    references = (References.of(v, shadows.membership, nothing) for v in (values, changed))
    before, after = (of_proxies(each, shadows.labels, near) for each in references)
    for name in ("count", "mean", "deviations"):
        same = np.isclose(getattr(before, name), getattr(after, name))
        assert same[7], name
    alike = (shadows.labels == shadows.labels[7]) & (np.arange(60) != 7)
    assert not np.isclose(before.mean, after.mean)[alike].all()


def by_difficulty(rng, membership):
    """Normal log-odds, two deviations higher for members; examples differ in difficulty."""
    difficulty = 3 * rng.normal(size=membership.shape[1])
    return difficulty + 2 * membership + rng.normal(size=membership.shape)


def auc(scores, targets, members):
    rows = zip(scores, targets.candidates, members, strict=True)
    return np.mean([weighted_roc(s[c], m[c], np.ones((1, c.sum()))).auc()[0] for s, c, m in rows])


@pytest.mark.parametrize("protocol", ["pool", "disjoint"])
def test_near_proxies_reach_the_power_of_known_normals_and_beat_all_examples(made_up, protocol):
    """Two normals, two deviations apart: AUC = Phi(2 / sqrt 2)."""
    targets, shadows, members = made_up(6, 64, 6000, protocol, 2, by_difficulty)
    scores = (pmia(targets, shadows, None, proxies=p) for p in ("instance", "global"))
    near, of_all = (auc(each, targets, members) for each in scores)
    assert near == pytest.approx(norm.cdf(math.sqrt(2)), abs=0.015)
    assert near > of_all + 0.02


def test_a_class_that_no_shadow_was_trained_on_is_named_with_the_remedy(made_up):
    targets, shadows, _ = made_up(7, protocol="disjoint", n=40)
    lost = (np.arange(40) >= 20) & (shadows.labels == 1)
    shadows = dataclasses.replace(shadows, membership=shadows.membership & ~lost)
    for proxies in ("class", "instance"):
        sentence = f"pmia, proxies = {proxies}: .* first of class 1, .*use proxies: global"
        with pytest.raises(ValueError, match=sentence):
            pmia(targets, shadows, None, proxies=proxies)
    assert np.isfinite(pmia(targets, shadows, None, proxies="global")).all()
