"""Names of the metrics in results.csv.

This module imports nothing, so that claims are checked in milliseconds.
"""

#: These are false-positive rates, by the name of the metric that is the true-positive rate
#: there. Each target has a threshold of its own, and the metric exists where non-members resolve
#: the rate.
TPR_AT = {
    "tpr_at_10_percent_fpr": 0.1,
    "tpr_at_1_percent_fpr": 0.01,
    "tpr_at_0.1_percent_fpr": 0.001,
    "tpr_at_0.01_percent_fpr": 0.0001,
}
PRIVACY_METRICS = ("attack_accuracy", "auc", "gain", *TPR_AT)
UTILITY_METRICS = ("train_accuracy", "test_accuracy", "generalisation_gap")
THEORY_METRICS = ("js_divergence",)
RELEASE_METRICS = (
    "compression", "n_weights", "n_nonzero", "dense_bytes", "sparse_bytes", "dense_flops", "sparse_flops", "sample_passes",
    "training_flops",
)  # fmt: skip
GUARANTEE_METRICS = ("epsilon", "delta")
#: These metrics have intervals, and differences.csv has their paired differences.
ESTIMATED_METRICS = (*PRIVACY_METRICS, *UTILITY_METRICS, *THEORY_METRICS)
METRICS = (*ESTIMATED_METRICS, *RELEASE_METRICS, *GUARANTEE_METRICS)
