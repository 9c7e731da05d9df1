"""Objectives: functions that training minimises.

Each module has one objective, a dataclass with `loss(model, images, labels)`.
"""
