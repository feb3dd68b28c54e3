"""`python -m geometry.cli`, the console command where scripts are not on the path."""

import sys

from geometry.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
