"""What models are asked beside their logits on plain images: one module a probe, asked once and stored for all attacks.

    probe(asked, **options) -> (n_examples, ...) float32, one row for each example of `asked.data`

An attack names the probes that it needs: `@attack(probes=("augmented",))`. A probe draws the same numbers for every model, so
that the models of a study answer the very same questions.
"""
