"""The study of steering."""
