"""Several models side by side: common concepts, likeness of their geometry, claim by claim, each beside its nulls."""

from geometry.compare.alignment import alignment_error, subtree_folds
from geometry.compare.common import common_vocabulary
from geometry.compare.pairs import PAIR_MEASURES, PairMeasure, claim_agreement, compare_pair, pair_p_value
from geometry.compare.profile import ModelProfile, model_profile, same_weights
from geometry.compare.similarity import cka, representational_similarity, word_disjoint
from geometry.compare.trees import consensus, cophenetic, dendrogram, recovered_tree, tree_agreement

__all__ = [
    "PAIR_MEASURES",
    "ModelProfile",
    "PairMeasure",
    "alignment_error",
    "cka",
    "claim_agreement",
    "common_vocabulary",
    "compare_pair",
    "consensus",
    "cophenetic",
    "dendrogram",
    "model_profile",
    "pair_p_value",
    "recovered_tree",
    "representational_similarity",
    "same_weights",
    "subtree_folds",
    "tree_agreement",
    "word_disjoint",
]
