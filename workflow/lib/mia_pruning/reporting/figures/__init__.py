"""Figures: pure functions from the study's tables to a drawing.

There is one module a figure, named by what it shows.

    figure(tables, headline) -> Drawing

Each is drawn twice, for the page and for a paper. For the latter `typesetting` changes the layout
of what was drawn.
`headline` holds the attack and the attacker that the claims are judged by.
"""
