"""The study of conditional steering."""
