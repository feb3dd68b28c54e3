from .decomposition import Decomposition as Decomposition
from .decomposition import decompose as decompose
