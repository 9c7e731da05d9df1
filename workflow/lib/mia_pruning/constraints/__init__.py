"""Constraints: which weights may be non-zero (a set with a projection), and solvers that bring a network into such a set."""
