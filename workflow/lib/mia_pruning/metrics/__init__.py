"""Pure numbers from pure arrays: membership metrics, intervals, compression.

Nothing here reads files or a config.
"""
