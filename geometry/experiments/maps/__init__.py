"""Maps of a vocabulary and of its concepts, and the Mapper graph of one concept."""
