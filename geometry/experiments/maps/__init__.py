"""The study of maps."""
