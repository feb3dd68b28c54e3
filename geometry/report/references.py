"""What to cite. Data only."""

# (the studies that rest on it, or none for all; the reference)
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
        ("claims",),
        "Phipson, Smyth: Permutation p-values should never be zero, Stat. Appl. Genet. Mol. Biol. 9 (2010).",
    ),
    (("claims",), "Benjamini, Hochberg: Controlling the false discovery rate, J. R. Stat. Soc. B 57 (1995)."),
    (
        ("claims",),
        "Holland, Huber, Dress, Moulton: δ plots: a tool for analyzing phylogenetic distance data, Mol. Biol. Evol. 19"
        " (2002).",
    ),
    (
        ("steering", "behaviours"),
        "Turner et al.: Activation Addition: Steering Language Models Without Optimization, arXiv 2308.10248.",
    ),
    (("behaviours",), "Rimsky et al.: Steering Llama 2 via Contrastive Activation Addition, arXiv 2312.06681."),
    (
        ("maps",),
        "McInnes, Healy, Melville: UMAP: Uniform Manifold Approximation and Projection, arXiv 1802.03426.",
    ),
    (
        ("maps",),
        "Singh, Mémoli, Carlsson: Topological Methods for the Analysis of High Dimensional Data Sets (2007).",
    ),
)
