"""`python -m app.embedded.qdrant`: see `server`."""

import sys

from app.embedded.qdrant.server import main

if __name__ == "__main__":
    sys.exit(main())
