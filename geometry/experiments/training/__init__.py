"""The study of training: the claims over the checkpoints of one model."""
