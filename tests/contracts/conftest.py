"""One thread, because the networks of these tests are too small to share; and signals of networks that were really trained."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mia_pruning.types import Signals

torch.set_num_threads(1)

N_FEATURES, N_CLASSES, N_POOL, N_POPULATION = 446, 30, 2000, 1000
N_TARGETS, N_MODELS, N_COPIES = 2, 10, 4
#: a class's prototype has a bit with this probability; an example loses a bit, or gains one it should not have, with these
DENSITY, LOST, GAINED = 0.15, 0.74, 0.1
N_EPOCHS, BATCH_SIZE, LEARNING_RATE = 30, 100, 1e-3
#: the share of an example's bits that a copy has flipped
FLIPPED = 0.01


@dataclass(frozen=True)
class RealSignals:
    """Signals as the stage `attack` hands them over, and the truth: membership (n_targets, n_examples) of the targets."""

    targets: Signals
    shadows: Signals
    members: np.ndarray


@pytest.fixture(scope="session")
def location30() -> RealSignals:
    """Signals of ten networks, 446-256-30, trained on 1,000 of 2,000 examples that resemble Location30 (Shokri et al. 2017).

    Examples have 446 sparse bits and one of 30 classes. Consecutive networks are twins: one's members are the other's
    non-members. All are right on each member, and on about 54 % of other examples. The probe `augmented` holds answers on four
    copies with 1 % of the bits flipped. It takes about five seconds, once a session. The arrays are read-only.
    """
    rng = np.random.default_rng(30)
    prototypes = rng.random((N_CLASSES, N_FEATURES)) < DENSITY
    labels, population_labels = (rng.integers(0, N_CLASSES, n) for n in (N_POOL, N_POPULATION))
    pool, population = (_examples(prototypes[of], rng) for of in (labels, population_labels))
    copies = [pool ^ (rng.random(pool.shape) < FLIPPED) for _ in range(N_COPIES)]
    membership = _twins(rng)
    candidates = np.ones_like(membership)
    networks = [_trained(pool[members], labels[members], seed) for seed, members in enumerate(membership)]
    logits, of_population = (np.stack(list(_answers(networks, bits))) for bits in (pool, population))
    augmented = np.stack([np.stack(list(_answers(networks, bits))) for bits in copies], axis=2)
    for array in (logits, labels, candidates, membership, of_population, population_labels, augmented):
        array.flags.writeable = False
    everything = Signals(
        logits, labels, candidates, membership, of_population, population_labels, probes={"augmented": augmented}
    )
    targets, shadows = slice(None, N_TARGETS), slice(N_TARGETS, None)
    return RealSignals(
        everything.of_models(targets, None), everything.of_models(shadows, membership[shadows]), membership[targets]
    )


def _examples(prototypes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bits (n, N_FEATURES) around the prototype (n, N_FEATURES) of each example."""
    return prototypes ^ (rng.random(prototypes.shape) < np.where(prototypes, LOST, GAINED))


def _twins(rng: np.random.Generator) -> np.ndarray:
    """Membership (N_MODELS, N_POOL): a random half of the pool for each second network, and the other half for its twin."""
    halves = np.argsort(rng.random((N_MODELS // 2, N_POOL)), axis=1) < N_POOL // 2
    return np.stack([halves, ~halves], axis=1).reshape(N_MODELS, N_POOL)


def _trained(bits: np.ndarray, labels: np.ndarray, seed: int) -> nn.Sequential:
    """A network that is right on all of these examples, by Adam."""
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(nn.Linear(N_FEATURES, 256), nn.ReLU(), nn.Linear(256, N_CLASSES))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else 0.0, generator=generator)
    inputs, wanted = torch.tensor(bits, dtype=torch.float32), torch.tensor(labels)
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    for _ in range(N_EPOCHS):
        _train_one_epoch_(network, optimiser, inputs, wanted, torch.randperm(len(bits), generator=generator))
    return network


def _train_one_epoch_(
    network: nn.Module, optimiser: torch.optim.Optimizer, inputs: Tensor, wanted: Tensor, order: Tensor
) -> None:
    for rows in order.split(BATCH_SIZE):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(inputs[rows]), wanted[rows]).backward()
        optimiser.step()


def _answers(networks: list[nn.Sequential], bits: np.ndarray) -> Iterator[np.ndarray]:
    """Logits (n, N_CLASSES) of each network."""
    with torch.no_grad():
        for network in networks:
            yield network(torch.tensor(bits, dtype=torch.float32)).numpy()
