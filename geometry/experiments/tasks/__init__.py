"""The study of function vectors of tasks."""
