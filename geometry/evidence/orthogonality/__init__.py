"""Orthogonality of contrasts as a question about a true cosine: freed of noise by folds of words that share none."""
