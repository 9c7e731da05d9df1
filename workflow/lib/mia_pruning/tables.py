"""Columns of the tables that jobs write and the study gathers. Writers, readers and docs take them from here."""

#: Columns that say what a row of a gathered table is about.
ABOUT = ("experiment", "seed", "defence")
#: One row a model and epoch.
HISTORY = ("epoch", "train_loss", "train_accuracy", "test_accuracy", "gain", "sample_passes")
#: One row a model, layer and Z-step of ADMM.
RESIDUALS = ("epoch", "rho", "primal", "dual", "weight_norm")
#: One row a model and layer, and one for all layers.
PROJECTION = (
    "layer",
    "weight_norm",
    "removed_norm",
    "accuracy_before",
    "accuracy_after",
    "answers_changed",
)
#: One row a model and stage, `pruned` or `retrained`.
DISTANCE = (
    "model",
    "stage",
    "total_variation",
    "largest_total_variation",
    "relative_logit_distance",
    "answers_changed",
)
#: One row an attack and false-positive rate. allowed_fpr is empty for the attack's own guesses.
#: population_needed is the size that resolves the rate, of an attack whose scores are shares of a
#: population; empty where the population is large enough. low and high are the Clopper-Pearson interval
#: of tpr, which takes trials as independent and the threshold as given, and so is narrower than the
#: metric's own. ppv_* is the precision at a member share, ppv_is_bound that these are lower bounds.
OPERATING = (
    "allowed_fpr",
    "resolved",
    "population_needed",
    "true_positives",
    "members",
    "false_positives",
    "others",
    "tpr",
    "low",
    "high",
    "fpr",
    "ppv_1",
    "ppv_10",
    "ppv_50",
    "ppv_is_bound",
)
AUDIT = ("target", "n_canaries", "n_classes", "n_guesses", "n_correct")
#: One row an example. `example` is its row in the packed data. first_half and second_half are its
#: exposure on either half of the targets; no_leak_* is one draw of the same where the members of twins
#: are swapped at random.
EXPOSED = (
    "example",
    "label",
    "first_half",
    "second_half",
    "no_leak_first_half",
    "no_leak_second_half",
)
#: One row an attack and metric, or a pair of attacks. other_attack and other_attacker are those of a
#: Jaccard index. by_chance is the value if finds were spread at random. n counts examples, for a Jaccard
#: index the members that either attack finds. n_models counts models that were trained on an example,
#: for a Jaccard index all.
AGREEMENT = (
    "attack",
    "attacker",
    "other_attack",
    "other_attacker",
    "metric",
    "value",
    "by_chance",
    "n",
    "n_models",
)
#: One row a metric and half of the examples: the attack that was best there, its value there and on the
#: other half.
STRONGEST = ("metric", "chosen_on", "attack", "attacker", "value_there", "value_elsewhere")
#: Tables that the evaluation of one defence writes.
OF_EVALUATION = {
    "roc": ("attack", "attacker", "fpr", "tpr", "low", "high"),
    "operating": ("attack", "attacker", *OPERATING),
    "strongest": STRONGEST,
    "audit": ("attack", "attacker", *AUDIT),
    "exposed": EXPOSED,
    "agreement": AGREEMENT,
    "failures": ("attack", "attacker", "failure"),
    "confidence": ("member", "low", "high", "fraction"),
}
#: Tables of training and pruning, gathered over a study. A table without rows has its columns too.
OF_TRAINING = {
    "history": (*ABOUT, "stage", "model", *HISTORY),
    "residuals": (*ABOUT, "model", "layer", *RESIDUALS),
    "projection": (*ABOUT, "model", *PROJECTION),
    "distance": (*ABOUT, *DISTANCE),
}
