"""Inside steering vectors: what they say, what differs within pairs, and whether pruning makes them better."""
