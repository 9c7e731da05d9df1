"""Does pruning a neural network defend it against membership inference, at what cost, and against which attacker?"""
