"""Savings by pruning: non-zero weights, bytes, floating-point operations."""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count_weights(weights: dict[str, Tensor]) -> tuple[int, int]:
    """Return the number of entries of these tensors, and of their non-zero entries."""
    return sum(w.numel() for w in weights.values()), sum(
        int(w.count_nonzero()) for w in weights.values()
    )


def dense_flops(model: nn.Module, image_shape: tuple[int, int, int]) -> dict[str, int]:
    """Return each layer's floating-point operations for one image, by torch's own counter.

    A multiply-add counts as two. image_shape: (height, width, channels).
    """
    height, width, channels = image_shape
    counter, was_training = FlopCounterMode(display=False), model.training
    with counter, torch.no_grad():
        model.eval()(torch.zeros(1, channels, height, width))
    model.train(was_training)
    counts = {
        name.split(".", 1)[1]: sum(c.values())
        for name, c in counter.get_flop_counts().items()
        if "." in name
    }
    leaves = {name for name, module in model.named_modules() if not list(module.children())}
    return {name: count for name, count in counts.items() if name in leaves}


def sparse_flops(flops: dict[str, int], weights: dict[str, Tensor]) -> int:
    """Return the operations that remain if a zero weight costs none.

    It is the sum of each layer's count times the layer's density, rounded.
    """
    return round(
        sum(count * _density(weights.get(f"{layer}.weight")) for layer, count in flops.items())
    )


def _density(weight: Tensor | None) -> float:
    return 1.0 if weight is None else int(weight.count_nonzero()) / weight.numel()


def encode_sparse(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the same values without zeros, wherever that is smaller.

    Such a tensor becomes one bit for each weight, the non-zero values and the shape.
    """
    encoded = {}
    for name, tensor in tensors.items():
        kept = tensor.flatten() != 0
        n_bytes = -(-kept.numel() // 8) + int(kept.sum()) * tensor.element_size() + 8 * tensor.ndim
        if n_bytes < tensor.numel() * tensor.element_size():
            encoded[f"{name}:bits"] = _pack_bits(kept)
            encoded[f"{name}:values"] = tensor.flatten()[kept]
            encoded[f"{name}:shape"] = torch.tensor(tensor.shape)
        else:
            encoded[name] = tensor
    return encoded


def decode_sparse(encoded: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that `encode_sparse` encoded."""
    decoded = {name: tensor for name, tensor in encoded.items() if ":" not in name}
    for name in [key.removesuffix(":bits") for key in encoded if key.endswith(":bits")]:
        shape = encoded[f"{name}:shape"].tolist()
        values = encoded[f"{name}:values"]
        flat = torch.zeros(shape, dtype=values.dtype).flatten()
        flat[_unpack_bits(encoded[f"{name}:bits"])[: flat.numel()]] = values
        decoded[name] = flat.view(shape)
    return decoded


_BIT = 1 << torch.arange(8)


def _pack_bits(bits: Tensor) -> Tensor:
    padded = nn.functional.pad(bits.to(torch.uint8), (0, -bits.numel() % 8)).view(-1, 8)
    return (padded * _BIT).sum(dim=1).to(torch.uint8)


def _unpack_bits(packed: Tensor) -> Tensor:
    return ((packed.long().unsqueeze(1) & _BIT) != 0).flatten()
