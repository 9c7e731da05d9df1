"""Training: one loop that knows no objective and no constraint by name.

Both reach it as an objective and as callbacks.
"""
