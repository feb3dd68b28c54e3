"""The study of claims."""
