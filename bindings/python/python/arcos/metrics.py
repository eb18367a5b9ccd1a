"""Measures of embeddings of classes that need not be known, all by cosine similarity: retrieval, verification, identification, clustering.

Definitions are pytorch-metric-learning's, scikit-learn's and the protocols' own. Similarities of all rows to all rows are never all in memory.
"""

from ._arcos import (
    Cmc,
    Retrieval,
    Roc,
    all_pairs,
    cmc,
    cmc_among_distractors,
    k_means,
    normalized_mutual_information,
    pair_scores,
    retrieval,
    roc,
)

__all__ = [
    "Cmc",
    "Retrieval",
    "Roc",
    "all_pairs",
    "cmc",
    "cmc_among_distractors",
    "k_means",
    "normalized_mutual_information",
    "pair_scores",
    "retrieval",
    "roc",
]
