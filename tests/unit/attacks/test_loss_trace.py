"""The signed spread of loss traces, and the threshold that shadows set for it."""

import dataclasses

import numpy as np
import pytest

from mia_pruning.attacks.loss_trace import loss_trace_spread, signed_spread
from mia_pruning.metrics.membership import weighted_roc

N_EPOCHS = 9


def with_traces(signals, members, seed):
    """Losses of members fall, those of non-members rise by as much; it differs by example."""
    slope = np.abs(np.random.default_rng(0).normal(1.5, 0.5, members.shape[1]))
    noise = np.random.default_rng(seed).normal(size=(*members.shape, N_EPOCHS))
    fallen = np.where(members, -slope, slope)[..., np.newaxis] * np.linspace(0, 1, N_EPOCHS)
    traces = (3 + fallen + 0.3 * noise).astype(np.float16)
    return dataclasses.replace(signals, probes={"loss_trace": traces})


def made(made_up, protocol):
    targets, shadows, members = made_up(0, 6, 400, protocol)
    return with_traces(targets, members, 1), with_traces(shadows, shadows.membership, 2), members


def by_hand(trace):
    """Linear interpolation between the sorted losses, as numpy's percentiles are defined."""
    ordered = sorted(map(float, trace))

    def at(share):
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (place - low) * (ordered[high] - ordered[low])

    half = len(trace) // 2
    fall = sum(map(float, trace[:half])) - sum(map(float, trace[-half:]))
    return (at(0.75) - at(0.25)) * np.sign(fall)


@pytest.mark.parametrize("n_epochs", [2, 3, 8, 9])
def test_the_spread_equals_quartiles_by_hand(n_epochs):
    traces = np.random.default_rng(n_epochs).random((3, 5, n_epochs)).astype(np.float16)
    wanted = [[by_hand(trace) for trace in of_model] for of_model in traces]
    np.testing.assert_allclose(signed_spread(traces), wanted)


@pytest.mark.parametrize("protocol", ["pool", "disjoint"])
def test_a_fall_means_member_and_as_wide_a_rise_means_non_member(made_up, protocol):
    targets, shadows, members = made(made_up, protocol)
    asked = targets.candidates
    scores, known = loss_trace_spread(targets, shadows, None)[asked], members[asked]
    assert weighted_roc(scores, known, np.ones((1, known.size))).auc()[0] > 0.95
    assert ((scores > 0) == known).mean() > 0.9


def test_thresholds_per_class_are_set_on_the_shadows_of_the_class(made_up):
    """Where one class has traces that all fall, members of it are found by how far they fall."""
    targets, shadows, members = made(made_up, "pool")
    drop = np.linspace(4, 0, N_EPOCHS) * (targets.labels == 0)[:, np.newaxis]
    for signals in (targets, shadows):
        signals.probes["loss_trace"] = signals.probes["loss_trace"] + drop
    both = (loss_trace_spread(targets, shadows, None, per_class=each) for each in (True, False))
    right = [((scores > 0) == members)[:, targets.labels == 0] for scores in both]
    own, one_for_all = (each.mean() for each in right)
    assert own > 0.9 > 0.6 > one_for_all


def test_traces_of_one_epoch_have_no_spread():
    with pytest.raises(ValueError, match="loss_trace: 1 epoch a trace; a spread needs at least 2"):
        signed_spread(np.zeros((2, 3, 1)))
