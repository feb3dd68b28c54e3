"""The study of dictionaries: a sparse autoencoder and a codebook at one site of a model."""
