"""Series of values and pairs of words: shapes, additive composition, binary contrasts."""
