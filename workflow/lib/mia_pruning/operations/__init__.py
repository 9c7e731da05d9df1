"""Running and watching studies: commands, plans, clusters, and what a run left undone. No science."""
