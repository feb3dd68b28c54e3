"""Every layer: the claims at every block of a model, for words and phrases of any number of tokens."""
