"""The study of selectivity along the tree."""
