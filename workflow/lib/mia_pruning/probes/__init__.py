"""Probes: questions to models besides their logits on plain images, one in each module.

Each is asked once, and the answers are stored for all attacks:

    probe(asked, **options) -> (n_examples, ...) float32, one row for each example of `asked.data`

An attack names the probes that it needs: `@attack(probes=("augmented",))`. A probe draws the
same numbers for every model, so that the models of a study answer the very same questions.

A model cannot be asked about its own training, so a probe with the trait `recorded` is evaluated
while the model trains:

    @probe(recorded=True) probe(n_epochs, **options) -> epochs of a phase to record, counted from 0
"""
