"""The Jensen-Shannon divergence between members' and non-members' outputs.

It measures the theory of the Min-Max game. The gain of the best inference model is G(h*) = JS -
log 2, where JS is the Jensen-Shannon divergence, in nats, between the two distributions. The
gain is least, -log 2, where they are equal. JS also bounds an attacker who sees no more than
what JS was measured on. By Fano's inequality the error P of a guess about a fair coin obeys log
2 - JS <= H(P), H the binary entropy.

Here JS is measured on one number for each example, counted in bins with equally many examples.
By the data processing inequality this is a lower estimate of the divergence of complete outputs
and labels. An attacker who sees those is not bound by it.

Functions of a statistic take weights, with one row for each bootstrap replicate.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import xlogy

N_BINS = 20
LOG_2 = float(np.log(2))


def js_divergence(statistic: np.ndarray, members: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the Jensen-Shannon divergence between a statistic of members and of non-members.

    statistic: (n,); result: (n_replicates,), in nats. Counting overestimates entropy
    differences. The bias is subtracted to first order (Miller 1955): for each entropy, half of
    the number of occupied bins minus 1, over the number of examples. So the estimate can be
    slightly below 0.
    """
    p, q = _counts(statistic, members, weights)
    n_members, n_others = p.sum(axis=1, keepdims=True), q.sum(axis=1, keepdims=True)
    mixture = (p / n_members + q / n_others) / 2
    halves = (_entropy(p) + _entropy(q)) / 2
    bias = ((p > 0).sum(axis=1) - 1) / (4 * n_members[:, 0]) + ((q > 0).sum(axis=1) - 1) / (
        4 * n_others[:, 0]
    )
    bias -= ((mixture > 0).sum(axis=1) - 1) / (2 * (n_members + n_others)[:, 0])
    return -xlogy(mixture, mixture).sum(axis=1) - halves - bias


def held_out_gain(statistic: np.ndarray, members: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return G, (n_replicates,), of the best inference model on one half of the examples.

    It is measured on the other half, and averaged over both directions. In the mean it is at
    most JS - log 2, and it is -log 2 for a model that guesses.
    """
    # Each half gets every second member and every second non-member.
    first = np.where(members, np.cumsum(members), np.cumsum(~members)) % 2 == 0
    halves = [_counts(statistic, members, weights * half) for half in (first, ~first)]
    return (_gain(*halves[0], *halves[1]) + _gain(*halves[1], *halves[0])) / 2


def accuracy_bound(divergence: float) -> float:
    """Return the highest balanced accuracy that a divergence, in nats, allows.

    >>> accuracy_bound(0.0), round(accuracy_bound(float(np.log(2))), 6)
    (0.5, 1.0)
    """
    uncertainty = LOG_2 - min(max(divergence, 0.0), LOG_2)
    if uncertainty >= LOG_2:
        return 0.5
    return 1 - brentq(
        lambda error: -xlogy(error, error) - xlogy(1 - error, 1 - error) - uncertainty, 0.0, 0.5
    )


def _counts(
    statistic: np.ndarray, members: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted counts (n_replicates, N_BINS) of members and of non-members.

    The edges of the bins are quantiles of the pooled sample.
    """
    edges = np.quantile(statistic, np.linspace(0, 1, N_BINS + 1)[1:-1])
    is_in = (
        np.searchsorted(edges, statistic, side="right")[:, np.newaxis] == np.arange(N_BINS)
    ).astype(np.float32)
    counts = [(weights * chosen) @ is_in for chosen in (members, ~members)]
    return counts[0].astype(np.float64), counts[1].astype(np.float64)


def _entropy(counts: np.ndarray) -> np.ndarray:
    shares = counts / counts.sum(axis=1, keepdims=True)
    return -xlogy(shares, shares).sum(axis=1)


def _gain(p: np.ndarray, q: np.ndarray, held_p: np.ndarray, held_q: np.ndarray) -> np.ndarray:
    """Return the gain, on held-out counts, of the model fitted to the counts p and q.

    The fit adds half an example to each bin.
    """
    share_p, share_q = (
        (counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True) for counts in (p, q)
    )
    log_member, log_other = (
        np.log(share_p / (share_p + share_q)),
        np.log(share_q / (share_p + share_q)),
    )
    return (_mean(log_member, held_p) + _mean(log_other, held_q)) / 2


def _mean(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean under counts; the value of guessing, -log 2, for a draw without examples.

    Such a draw is possible with few examples.
    """
    total = counts.sum(axis=1)
    return np.where(total > 0, (counts * values).sum(axis=1) / np.maximum(total, 1), -LOG_2)
