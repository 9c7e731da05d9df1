"""Networks, one in each module.

Each function returns an untrained `nn.Module` for an input shape and a number of classes. Code
that several networks share is in `forms`.
"""
