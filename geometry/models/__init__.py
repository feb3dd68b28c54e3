"""Where real weights come from: names, files, the unembedding and its vocabulary."""

from geometry.models.catalogue import CATALOGUE, Resource
from geometry.models.fetching import cache_folder, cached_path, fetch
from geometry.models.language_model import load_model
from geometry.models.locating import display_name, locate
from geometry.models.unembedding import Unembedding
from geometry.models.vocabulary import Vocabulary

__all__ = [
    "CATALOGUE",
    "Resource",
    "Unembedding",
    "Vocabulary",
    "cache_folder",
    "cached_path",
    "display_name",
    "fetch",
    "load_model",
    "locate",
]
