"""What the study of layers can be asked for by name. Imports nothing, so that `--help` is quick."""

METRICS = ("covariance", "euclidean", "causal", "fisher")
# What is measured beside the claims.
BESIDE = ("orthogonality", "metrics", "held-out", "tree", "pictures", "steering")
# At every block; "all" takes every claim.
TESTED = ("existence", "separation", "tree-correlation-disjoint", "quartets")
