from .decomposition import Decomposition as Decomposition
from .decomposition import decompose as decompose
from .function_vectors import TaskVectors as TaskVectors
from .function_vectors import function_vectors as function_vectors
from .reading import VectorReading as VectorReading
from .reading import explain as explain
