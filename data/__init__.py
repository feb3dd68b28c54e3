"""Packaged as `geometry.data`: the WordNet table and hand-made hierarchies."""
