"""Lower bounds on privacy from one training run by f-DP, from counts alone.

Source: Mahloujifar, Melis and Chaudhuri 2024.

An attacker guesses of r out of m examples whether they are members and is right v times. Here
are the test of a promise by v, and the bound on epsilon that follows. Which attack is audited is
decided in reporting/auditing.py.

The test. A trade-off function f bounds every event: what has probability y with an example has
at least g(y) = f(1 - y) without it, and conversely. Let V be the number of right guesses, and
take one of the m examples at random. With

    right_t = P[V >= t, and the example is guessed rightly]
            = sum over s >= t of s/m P[V = s],
    wrong_t = P[V >= t, and the example is guessed wrongly]
            = sum over s >= t of (r - s)/m P[V = s],

switch this example's membership. A right guess becomes a wrong one, and V falls by one. All
other guesses stay. Membership is a fair coin, so both states are equally likely, and as g is
convex

    wrong_(t-1) >= g(right_t).

Suppose that P[V >= v] were as large as `level`. The smallest right_v belongs to a V that is
never above v: right_v = level v/m and wrong_v = level (r - v)/m. Then t falls from v. The
inequality forces wrong_(t-1) up, hence P[V = t-1], hence right_(t-1), as

    right_(t-1) - right_t = (t-1)/(r-t+1) (wrong_(t-1) - wrong_t).

Each step adds the least mass that is possible. Write T_j = P[V >= j]. Both m right_t = (t-1) T_t
+ sum over j >= t of T_j and the next T grow with all earlier T, so by induction no distribution
of V has smaller T_j anywhere. P[V >= 0] = 1 closes the argument: where the recursion needs more
than 1, P[V >= v] is below `level`, and v right guesses refute f.

Half membership. In this project's splits exactly half of the examples of each class are members,
so the coins are not independent and a member is replaced by another example. A proof exists for
replacement: m/2 couples, one fair coin each, and twice mu. For 2,800 examples it reaches an
epsilon of 6.2 at most, at delta 1e-6. The test here reaches 11.6, and the default study promises
10.7. So the promise is taken as it is, for one example more or less, with a margin.

The margin. A mechanism that is private for one example more or less satisfies the inequality
between sets of k and of k - 1 members. It can gain from exact halves only by behaving
differently at different sizes. The best such mechanism is the solution of a linear program,
because guesses are symmetric in the examples. It was solved for pure epsilon from 0.25 to 6 up
to 36 examples and from 0.5 to 5 up to 160. On average, the mechanism gets less than 0.3 right
guesses more than independent coins allow. From 60 to 160 examples this excess falls for epsilon
up to 3 and still rises, to 0.28, for 5. In the sizes that the tests solve, one right guess
covers the tail. `without_half_excess` subtracts half a right guess for each class, rounded up.
This is measured, not proved. For delta above 0 and for several classes it rests on the
simulations in the tests.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import ceil

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri
from scipy.stats import beta

from mia_pruning.metrics.audit import check_counts
from mia_pruning.metrics.intervals import CONFIDENCE

#: Given an array of probabilities of events with an example, such a function returns the least
#: that they can have without the example, of the same shape.
Least = Callable[[np.ndarray], np.ndarray]
#: No mu above this is searched.
LARGEST_MU = 20.0
#: Each round of the search narrows mu down to one of this many steps.
N_STEPS, N_ROUNDS = 32, 4
#: Exact halves add at most this many right guesses for each class.
HALF_EXCESS = 0.5


def gaussian(mu: np.ndarray | float) -> Least:
    """Return the least probability under mu-GDP (Dong, Roth and Su 2022).

    Its normal distributions have means that differ by mu standard deviations.

    >>> gaussian(0.0)(np.array([0.25])).tolist()
    [0.25]
    """
    return lambda probability: ndtr(ndtri(probability) - mu)


def approximate(epsilons: Sequence[float], deltas: Sequence[float]) -> Least:
    """Return the least probability under (epsilon, delta)-DP at all of these pairs at once.

    It is the largest of what each pair demands. A model's privacy curve is read off at some
    pairs. The curve between them is not used, so the result is never too large.

    >>> approximate([np.log(3)], [0.0])(np.array([0.6, 0.9])).round(3).tolist()
    [0.2, 0.7]
    """
    ratio, slack = np.exp(np.asarray(epsilons))[:, np.newaxis], np.asarray(deltas)[:, np.newaxis]

    def least(probability: np.ndarray) -> np.ndarray:
        demanded = np.maximum((probability - slack) / ratio, 1 - slack - ratio * (1 - probability))
        return np.maximum(demanded.max(axis=0), 0.0)

    return least


def least_total(
    n_canaries: int, n_guesses: int, n_correct: int, level: float, least: Least
) -> np.ndarray:
    """Return the least total mass of a distribution of right guesses that is large enough.

    The distribution reaches n_correct with probability `level`. A total above 1 means that there
    is no such distribution. The shape is that of what `least` returns.
    """
    right = np.array([level * n_correct / n_canaries])
    wrong = np.array([level * (n_guesses - n_correct) / n_canaries])
    for count in range(n_correct - 1, -1, -1):
        forced = np.maximum(wrong, least(np.minimum(right, 1.0)))
        right = right + count / (n_guesses - count) * (forced - wrong)
        wrong = forced
    return (right + wrong) * n_canaries / n_guesses


def refutes(
    n_canaries: int, n_guesses: int, n_correct: int, least: Least, confidence: float = CONFIDENCE
) -> bool:
    """Return True where so many right guesses are too unlikely under the promise.

    Their probability is then below 1 - confidence. Raises ValueError as `check_counts` does.

    >>> refutes(100, 100, 60, gaussian(0.0)), refutes(100, 100, 59, gaussian(0.0))
    (True, False)
    """
    check_counts(n_canaries, n_guesses, n_correct)
    return bool(least_total(n_canaries, n_guesses, n_correct, 1 - confidence, least)[0] > 1)


@lru_cache(maxsize=4096)
def gaussian_bound(
    n_canaries: int, n_guesses: int, n_correct: int, confidence: float = CONFIDENCE
) -> float:
    """Return the largest mu that is refuted, to within 0.0001 from below; 0 where none is.

    Raises ValueError as `check_counts` does.

    >>> round(gaussian_bound(1000, 200, 150), 3), gaussian_bound(1000, 200, 100)
    (0.339, 0.0)
    """
    check_counts(n_canaries, n_guesses, n_correct)
    low, high = 0.0, LARGEST_MU
    for _ in range(N_ROUNDS):
        tried = np.linspace(low, high, N_STEPS + 1)
        refuted = least_total(n_canaries, n_guesses, n_correct, 1 - confidence, gaussian(tried)) > 1
        n_refuted = int(np.append(refuted, False).argmin())
        if n_refuted in (0, tried.size):
            return float(tried[0] if n_refuted == 0 else tried[-1])
        low, high = tried[n_refuted - 1], tried[n_refuted]
    return float(low)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the epsilon of mu-GDP at delta (Dong, Roth and Su 2022, corollary 2.13).

    >>> round(gaussian_epsilon(1.0, 1e-5), 2), gaussian_epsilon(0.0, 1e-5)
    (4.38, 0.0)
    """
    if mu == 0:
        return 0.0

    def excess(epsilon: float) -> float:
        return (
            ndtr(mu / 2 - epsilon / mu) - np.exp(epsilon + log_ndtr(-mu / 2 - epsilon / mu)) - delta
        )

    return 0.0 if excess(0.0) <= 0 else float(brentq(excess, 0.0, mu**2 + 40 * mu))


def expected_mu(
    n_canaries: np.ndarray,
    n_guesses: np.ndarray,
    n_correct: np.ndarray,
    confidence: float = CONFIDENCE,
) -> np.ndarray:
    """Return an approximate bound on mu, in closed form, for choosing a design.

    It is not above 0 at chance level. A mechanism may be right about all examples at once in an
    event of probability 1 - confidence, and many examples leave such an event possible. The
    recursion's first inequality then decides. The share of right guesses is replaced by its
    lower Clopper-Pearson bound, so n_correct may be a mean over models.
    """
    n_correct = np.maximum(n_correct, 0.5)  # at 0 the Clopper-Pearson bound has no formula
    share = beta.ppf(1 - confidence, n_correct, n_guesses - n_correct + 1)
    mass = (1 - confidence) * n_guesses / n_canaries
    return ndtri(share * mass) - ndtri((1 - share) * mass)


def without_half_excess(n_correct: int, n_classes: int) -> int:
    """Return the right guesses that count where exactly half of each class are members.

    >>> without_half_excess(270, 10), without_half_excess(3, 10)
    (265, 0)
    """
    return max(n_correct - ceil(HALF_EXCESS * n_classes), 0)
