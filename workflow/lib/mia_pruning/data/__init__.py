"""Data sets: where they come from, how they are packed, and who trains on what (`split`). One module a data set."""
