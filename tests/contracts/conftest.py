"""One thread, because the networks of these tests are too small to share; and signals of networks that were really trained."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mia_pruning.types import Signals

torch.set_num_threads(1)

N_FEATURES, N_POOL, N_POPULATION = 446, 2000, 1000
N_TARGETS, N_MODELS, N_COPIES = 2, 10, 4
#: a class's prototype has a bit with this probability; an example loses a bit, or gains one it should not have, with these
DENSITY, LOST, GAINED = 0.15, 0.74, 0.1
N_EPOCHS, BATCH_SIZE, LEARNING_RATE = 30, 100, 1e-3
#: the share of an example's bits that a copy has flipped
FLIPPED = 0.01
#: The shares of bits that the probe `noisy` flips, in how many copies each.
NOISE, N_NOISY = (0.03, 0.1), 4
#: The probe `sensitivity`: length of a step, and in how many directions.
STEP, N_STEPS = 1e-3, 4
#: The networks behind the signal `dense` are trained for this long.
N_DENSE_EPOCHS = 10


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
    copies with 1 % of the bits flipped. Images are the bits. The probe `noisy` holds shares of right answers where 3 % and 10 %
    are flipped, `sensitivity` what the probe of that name measures. `dense` are the answers of networks of the same membership,
    trained for 10 epochs. It takes about ten seconds, once a session. The arrays are read-only.
    """
    return _trained_signals(30, N_EPOCHS)


@pytest.fixture(scope="session")
def hundred_classes() -> RealSignals:
    """Signals like `location30`, of 100 classes and stopped early.

    Networks are right on about 64 % of their members and 5 % of other examples.
    """
    return _trained_signals(100, n_epochs=5)


def _trained_signals(n_classes: int, n_epochs: int) -> RealSignals:
    rng = np.random.default_rng(30)
    prototypes = rng.random((n_classes, N_FEATURES)) < DENSITY
    labels, population_labels = (rng.integers(0, n_classes, n) for n in (N_POOL, N_POPULATION))
    pool, population = (_examples(prototypes[of], rng) for of in (labels, population_labels))
    copies = [pool ^ (rng.random(pool.shape) < FLIPPED) for _ in range(N_COPIES)]
    membership = _twins(rng)
    candidates = np.ones_like(membership)
    networks = _all_trained(pool, labels, membership, n_classes, n_epochs, first_seed=0)
    others = _all_trained(pool, labels, membership, n_classes, N_DENSE_EPOCHS, first_seed=100)
    logits, of_population = (
        np.stack(list(_answers(networks, bits))) for bits in (pool, population)
    )
    augmented = np.stack([np.stack(list(_answers(networks, bits))) for bits in copies], axis=2)
    probes = {
        "augmented": augmented,
        "noisy": _shares_right(networks, pool, labels, rng),
        "sensitivity": _sensitivity(networks, pool, rng),
    }
    seen = {
        "dense": np.stack(list(_answers(others, pool))),
        "images": _as_images(pool),
        "population_images": _as_images(population),
    }
    answered = (logits, labels, candidates, membership, of_population, population_labels)
    for array in (*answered, *probes.values(), *seen.values()):
        array.flags.writeable = False
    everything = Signals(*answered, probes=probes, **seen)
    targets, shadows = slice(None, N_TARGETS), slice(N_TARGETS, None)
    return RealSignals(
        everything.of_models(targets, None),
        everything.of_models(shadows, membership[shadows]),
        membership[targets],
    )


def _examples(prototypes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bits (n, N_FEATURES) around the prototype (n, N_FEATURES) of each example."""
    return prototypes ^ (rng.random(prototypes.shape) < np.where(prototypes, LOST, GAINED))


def _twins(rng: np.random.Generator) -> np.ndarray:
    """Membership (N_MODELS, N_POOL): a random half of the pool for each second network, and the other half for its twin."""
    halves = np.argsort(rng.random((N_MODELS // 2, N_POOL)), axis=1) < N_POOL // 2
    return np.stack([halves, ~halves], axis=1).reshape(N_MODELS, N_POOL)


def _trained(
    bits: np.ndarray, labels: np.ndarray, n_classes: int, n_epochs: int, seed: int
) -> nn.Sequential:
    """A network trained on these examples by Adam."""
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(nn.Linear(N_FEATURES, 256), nn.ReLU(), nn.Linear(256, n_classes))
    for parameter in network.parameters():
        nn.init.normal_(
            parameter,
            std=parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else 0.0,
            generator=generator,
        )
    inputs, wanted = torch.tensor(bits, dtype=torch.float32), torch.tensor(labels)
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    for _ in range(n_epochs):
        _train_one_epoch_(
            network, optimiser, inputs, wanted, torch.randperm(len(bits), generator=generator)
        )
    return network


def _all_trained(
    pool: np.ndarray,
    labels: np.ndarray,
    membership: np.ndarray,
    n_classes: int,
    n_epochs: int,
    *,
    first_seed: int,
) -> list[nn.Sequential]:
    """A network for each row of the membership."""
    seeded = enumerate(membership, start=first_seed)
    return [
        _trained(pool[members], labels[members], n_classes, n_epochs, seed)
        for seed, members in seeded
    ]


def _as_images(bits: np.ndarray) -> np.ndarray:
    """Images (n, 1, N_FEATURES, 1) uint8, of pixels 0 and 255."""
    return 255 * bits[:, np.newaxis, :, np.newaxis].astype(np.uint8)


def _shares_right(
    networks: list[nn.Sequential],
    pool: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """As the probe `noisy`: shares (n_models, n_examples, n_strengths) of right answers."""
    shares = np.zeros((len(networks), len(pool), len(NOISE)), dtype=np.float32)
    for number, share in enumerate(NOISE):
        for _ in range(N_NOISY):
            copies = pool ^ (rng.random(pool.shape) < share)
            right = [logits.argmax(axis=-1) == labels for logits in _answers(networks, copies)]
            shares[..., number] += np.stack(right) / N_NOISY
    return shares


def _sensitivity(
    networks: list[nn.Sequential],
    pool: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """As the probe `sensitivity`: (n_models, n_examples, n_classes)."""
    steps = rng.normal(size=(N_STEPS, *pool.shape)) * STEP
    inputs = torch.tensor(pool, dtype=torch.float64)
    changes = []
    with torch.no_grad():
        for network in networks:
            exact = copy.deepcopy(network).double()
            before = exact(inputs).softmax(dim=1)
            moved = [exact(inputs + torch.from_numpy(step)).softmax(dim=1) for step in steps]
            changes.append(sum((after - before).abs() for after in moved) / (N_STEPS * STEP))
    return torch.stack(changes).float().numpy()


def _train_one_epoch_(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    inputs: Tensor,
    wanted: Tensor,
    order: Tensor,
) -> None:
    for rows in order.split(BATCH_SIZE):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(inputs[rows]), wanted[rows]).backward()
        optimiser.step()


def _answers(networks: list[nn.Sequential], bits: np.ndarray) -> Iterator[np.ndarray]:
    """Logits (n, n_classes) of each network."""
    with torch.no_grad():
        for network in networks:
            yield network(torch.tensor(bits, dtype=torch.float32)).numpy()
