"""The epoch checkpoint of one model, bound to an identity.

Training does not resume from a checkpoint of another configuration.
"""

from pathlib import Path

from torch import Tensor

from mia_pruning import storage


class Checkpoint:
    def __init__(self, path: str | Path, identity: str) -> None:
        self.path = Path(path)
        self.identity = identity

    def load(self) -> dict[str, Tensor] | None:
        """Return the saved state, or None if there is none of this identity."""
        if not self.path.is_file():
            return None
        state, metadata = storage.read_tensors(self.path)
        return state if metadata.get("identity") == self.identity else None

    def save(self, state: dict[str, Tensor]) -> None:
        storage.write_tensors(self.path, state, {"identity": self.identity})

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
