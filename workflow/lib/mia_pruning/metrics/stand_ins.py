"""Names that stand in a table's columns for no single attack and no single defence."""

#: whoever takes the attack that is the strongest elsewhere, as a table's columns
STRONGEST = {"attack": "strongest", "attacker": "any"}
#: in a difference: dense networks that are as accurate as the other defence
MATCHED = "matched_accuracy"
