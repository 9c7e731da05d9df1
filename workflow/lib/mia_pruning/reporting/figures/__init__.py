"""Figures: one module a figure."""
