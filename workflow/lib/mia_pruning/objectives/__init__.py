"""Objectives: what training minimises. One module an objective; each is a dataclass with `loss(model, images, labels)`."""
