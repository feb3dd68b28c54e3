from .main import main as main
from .parser import OneLineParser as OneLineParser
from .parser import one_line as one_line
from .run import script as script
