"""The pipeline's stages: each takes files, calls the library and writes files.

One module a stage, called by the script of its rule.
"""
