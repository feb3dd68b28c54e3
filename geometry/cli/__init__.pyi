from .main import main as main
from .parser import OneLineParser as OneLineParser
from .parser import one_line as one_line
from .placement import add_placement as add_placement
from .placement import placement_of as placement_of
from .run import script as script
