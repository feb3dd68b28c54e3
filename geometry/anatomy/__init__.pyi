from .decomposition import Decomposition as Decomposition
from .decomposition import decompose as decompose
from .reading import VectorReading as VectorReading
from .reading import explain as explain
