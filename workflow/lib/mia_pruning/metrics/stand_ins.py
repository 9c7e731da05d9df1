"""Names in a table's columns of attacks and defences that are no single attack or defence."""

#: This is the attack that is best on one half of the examples, measured on the other half.
STRONGEST = {"attack": "strongest", "attacker": "any"}
#: In a difference, this means dense networks that are as accurate as the other defence.
MATCHED = "matched_accuracy"
