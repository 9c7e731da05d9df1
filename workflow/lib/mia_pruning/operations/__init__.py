"""Running and watching studies: commands, plans, clusters and gaps of a run. No science."""
