"""The study of behaviours."""
