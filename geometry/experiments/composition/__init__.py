"""The study of composition inside the model."""
