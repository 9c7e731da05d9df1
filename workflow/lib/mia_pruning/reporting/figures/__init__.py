"""Figures: pure functions from the study's tables to a drawing. One module a figure, named by what it shows.

    figure(tables, headline) -> Drawing

Each is drawn twice, for the page and for a paper; for the latter `typesetting` lays out anew what was drawn.
`headline` holds the attack and the attacker that the claims are judged by.
"""
