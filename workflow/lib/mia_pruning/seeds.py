"""Named, independent random streams from one root seed.

Every random choice of a study is drawn from a stream that is named after its purpose (`"split"`,
`"train", 17, "epoch", 3`). So model 17 is the same whether it is trained alone, in a batch of
eight or after a restart, and an attack that draws more numbers changes no other result.
"""

import hashlib

import numpy as np


def stream(root_seed: int, *names: str | int) -> np.random.Generator:
    """Return a generator that depends on the root seed and the names alone.

    >>> stream(0, "split").integers(1000) == stream(0, "split").integers(1000)
    np.True_
    >>> stream(0, "model", 1).integers(1 << 40) == stream(0, "model", 2).integers(1 << 40)
    np.False_
    """
    digest = hashlib.sha256(repr(names).encode()).digest()
    words = np.frombuffer(digest[:16], dtype=np.uint32)
    return np.random.default_rng(np.random.SeedSequence([root_seed, *words.tolist()]))


def derived_seed(root_seed: int, *names: str | int) -> int:
    """Return another root seed, below 2^31, with streams independent of those of the first."""
    return int(stream(root_seed, *names, "seed").integers(1 << 31))


def torch_seed(root_seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for torch's own generators, by the same names."""
    return int(stream(root_seed, *names, "torch").integers(1 << 63))
