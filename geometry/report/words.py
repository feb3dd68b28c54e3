"""What a report says of its own: what analyses, claims and verdicts are called, and what to cite. Data only."""

from dataclasses import dataclass

__all__ = [
    "ANALYSES",
    "CONDITIONS",
    "KNOWN_ROWS",
    "MODEL_ROWS",
    "NULL_NAMES",
    "REFERENCES",
    "VERDICTS",
    "Known",
    "verdict_kind",
]


@dataclass(frozen=True)
class Known:
    """An analysis of this package.

    Attributes
    ----------
    heading, asks : what its section is called, and a sentence at its head.
    figures : their order; others follow by name.
    of_quick : the setting that its quick run makes by itself, and that must not be given beside it.
    """

    heading: str
    asks: str
    figures: tuple[str, ...] = ()
    of_quick: str = ""


ANALYSES = {
    "hierarchy": Known(
        "The hierarchy in the unembedding",
        "Do words lie along the vectors of their concepts, and concepts as in the tree? Beside every number stands what"
        " the same computation gives on null models.",
        ("planes", "existence", "orthogonality", "heatmap", "simplex"),
    ),
    "structure": Known(
        "Every claim against every null",
        "One figure for all claims, then one for each, in which every point is a concept, an edge or a pair.",
        ("overview",),
        "draws",
    ),
    "steering": Known(
        "Steering with parent + child",
        "What becomes of the next token when the vectors of concepts are added to the residual stream, and what it"
        " costs.",
        ("conditions", "words", "coefficients", "blocks"),
        "every",
    ),
    "maps": Known(
        "Maps of the vocabulary",
        "Words and concepts in two dimensions, and how far such maps can be trusted.",
        ("vocabulary", "purity", "concepts", "mapper"),
    ),
    "behaviours": Known(
        "Classes of behaviour",
        "Are classes of prompts told on templates and domains that were never seen, do the words that name a class"
        " point where its prompts do, how do classes relate, and can one steer from any of them to any other?",
        (
            "layers",
            "steering",
            "pairs",
            "composed",
            "transfer",
            "contrasts",
            "shapes",
            "routes",
            "opposites",
            "levels",
        ),
    ),
}

MODEL_ROWS = {
    "family": "family",
    "vocabulary": "vocabulary, rows",
    "width": "width",
    "tied": "input and output embeddings tied",
    "side": "side read",
    "rows_left_out": "rows left out (no text, or all zero)",
    "sha256": "SHA-256 of the unembedding, float32",
}

NULL_NAMES = {
    "shuffled": "shuffled rows",
    "gaussian": "Gaussian rows",
    "frequency_matched": "frequency-matched rows",
    "random_subset": "random subset",
    "random_parent": "random parent",
    "random_metric": "random metric",
    "euclidean": "Euclidean",
    "mean_estimator": "mean estimator",
    "shuffled_partners": "shuffled partners",
    "random_rows": "random rows",
}

KNOWN_ROWS = {
    "existence.token_split.held_out_projection": "unseen tokens reach this much of their concept's vector",
    "existence.lemma_split.held_out_projection": "… with all variants of a word unseen",
    "orthogonality.parent.abs_cos": "|cos| of child contrast with parent",
    "separation.token_split.auc": "AUC, child's unseen tokens against the parent's others",
    "separation.lemma_split.auc": "… with all variants of a word unseen",
    "separation.lemma_split.contrast.auc": "… by the child's contrast with its parent",
    "tree_correlation.all_pairs.model": "rank correlation of cosine with tree closeness",
    "tree_correlation.word_disjoint_pairs.model": "… between concepts without a common word",
    "planes": "planes: unseen words reach this much of their concept's vector",
    "simplex.balanced_accuracy": "simplex: balanced accuracy of the nearest vertex",
    "simplex.irregularity": "simplex: variation of edge lengths",
}

# What was added, in the order of rows: (key in results.json, words, whether it is a null).
CONDITIONS = {
    "none": ("nothing", True),
    "parent": ("parent", False),
    "parent_long": ("parent, as long as the sum", True),
    "child": ("child − parent", False),
    "parent_child": ("parent + (child − parent)", False),
    "before_norm": ("… before the final norm", False),
    "block": ("… at the gentlest block", False),
    "block_strongest": ("… at the strongest block", False),
    "own": ("the child's own vector", False),
    "grandparent_parent_child": ("grandparent + … + (child − parent)", False),
    "other_parent_child": ("another parent + (child − parent)", True),
    "random": ("random direction", True),
    "random_residual": ("random, of equal norm", True),
}

VERDICTS = {
    "supported": "Beyond noise and beyond every null that keeps part of the structure, and nearer to what the theory"
    " predicts than to noise.",
    "weak": "Beyond all of these nulls, but nearer to noise than to what the theory predicts.",
    "by construction": "A null that keeps part of the structure does as well (random subsets of the parent; for"
    " log-odds, arbitrary concepts), so the claim's being true shows nothing about the model.",
    "not found": "Noise does as well.",
    "not orthogonal": "The mean |cos| is not below 0.1 with its 95% interval.",
    "undecided": "Nearer to orthogonal than nesting explains, but noise would be so too and is not ruled out.",
    "beyond all draws": "Beyond noise in every draw, but the draws are too few for the level.",
    "not measured": "There was nothing to measure it on.",
    "several shapes": "In order: values are predicted by their neighbours, but the shapes named do so about"
    " equally well.",
    "another shape": "Another shape predicts left-out values better than the one expected.",
    "not refuted": "Nothing speaks against it, which is all that a claim of no order allows.",
}


def verdict_kind(verdict: str) -> str:
    """The verdict itself, or for shapes, which are named one by one, what their names say."""
    if verdict.startswith("rather a "):
        return "another shape"
    return "several shapes" if " or " in verdict else verdict


# (the analyses that rest on it, or none for all; the reference)
REFERENCES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        (),
        "Park, Choe, Veitch: The Linear Representation Hypothesis and the Geometry of Large Language Models,"
        " arXiv 2311.03658.",
    ),
    (
        (),
        "Park, Choe, Jiang, Veitch: The Geometry of Categorical and Hierarchical Concepts in Large Language Models,"
        " arXiv 2406.01506.",
    ),
    (
        (),
        "Ledoit, Wolf: A well-conditioned estimator for large-dimensional covariance matrices, J. Multivariate"
        " Analysis 88 (2004).",
    ),
    ((), "Miller: WordNet: a lexical database for English, CACM 38 (1995)."),
    (
        ("structure",),
        "Phipson, Smyth: Permutation p-values should never be zero, Stat. Appl. Genet. Mol. Biol. 9 (2010).",
    ),
    (("structure",), "Benjamini, Hochberg: Controlling the false discovery rate, J. R. Stat. Soc. B 57 (1995)."),
    (
        ("structure",),
        "Holland, Huber, Dress, Moulton: δ plots: a tool for analyzing phylogenetic distance data, Mol. Biol. Evol. 19"
        " (2002).",
    ),
    (
        ("steering",),
        "Turner et al.: Activation Addition: Steering Language Models Without Optimization, arXiv 2308.10248.",
    ),
    (
        ("maps",),
        "McInnes, Healy, Melville: UMAP: Uniform Manifold Approximation and Projection, arXiv 1802.03426.",
    ),
    (
        ("maps",),
        "Singh, Mémoli, Carlsson: Topological Methods for the Analysis of High Dimensional Data Sets (2007).",
    ),
)
