"""`python -m aisle.runtime` is the same as `aisle`."""

import sys

from .cli import main

sys.exit(main())
