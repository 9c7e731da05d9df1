"""Data sets: their sources, how they are packed, and which model trains on what (`split`).

Each module has one data set.
"""
