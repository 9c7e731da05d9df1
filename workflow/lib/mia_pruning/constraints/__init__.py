"""Constraints and solvers.

A constraint says which weights may be non-zero: a set with a projection. A solver brings a
network into such a set.
"""
