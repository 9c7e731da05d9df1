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
#: Tables of training and pruning, gathered over a study. A table without rows has its columns too.
OF_TRAINING = {
    "history": (*ABOUT, "stage", "model", *HISTORY),
    "residuals": (*ABOUT, "model", "layer", *RESIDUALS),
    "projection": (*ABOUT, "model", *PROJECTION),
    "distance": (*ABOUT, *DISTANCE),
}
