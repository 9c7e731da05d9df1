"""Membership inference attacks: pure functions of recorded signals, one in each module.

    attack(targets, shadows, rng, **options) -> scores (n_targets, n_examples)

A higher score means "member", and a score above 0 is the guess "member". `targets` carries no
membership; `shadows` does.
"""
