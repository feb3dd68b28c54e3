from .main import main as main
from .parser import OneLineParser as OneLineParser
from .run import script as script
