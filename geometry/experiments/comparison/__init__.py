"""The study of comparison."""
