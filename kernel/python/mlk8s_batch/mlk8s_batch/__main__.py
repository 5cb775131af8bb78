"""`python -m mlk8s_batch`: the program `mlk8s-batch`."""

import sys

from .cli import main

sys.exit(main())
