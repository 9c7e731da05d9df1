"""Figures: pure functions from the study's tables to a drawing. One module a figure, named by what it shows.

    figure(tables, headline) -> Drawing

`headline` holds the attack and the attacker that the claims are judged by.
"""
