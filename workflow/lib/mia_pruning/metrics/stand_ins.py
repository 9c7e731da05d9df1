"""Names that stand in a table's columns for no single attack and no single defence."""

#: The attack that is best on one half of the examples, measured on the other half.
STRONGEST = {"attack": "strongest", "attacker": "any"}
#: in a difference: dense networks that are as accurate as the other defence
MATCHED = "matched_accuracy"
