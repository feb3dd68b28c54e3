"""Speed and memory beside the textbook's ways, and what a GPU makes of it."""
