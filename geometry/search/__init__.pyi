from .finding import find_vectors as find_vectors
from .found import FoundVectors as FoundVectors
from .later import LaterChanges as LaterChanges
from .later import later_changes as later_changes
