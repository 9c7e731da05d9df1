"""Networks. One module a network; each function returns an untrained `nn.Module` for an input shape and a number of classes.

What several of them share is in `forms`.
"""
