"""Pure numbers from pure arrays: membership metrics, intervals, compression. No files, no config."""
