"""The study of concept erasure."""
