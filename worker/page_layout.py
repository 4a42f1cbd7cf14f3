"""Which signs of a text are its page's layout, and none of its words."""

import re

LAYOUT = re.compile(r"[\s|\u00ad\u2010-]+")
"""White space, hyphens and the bars between cells: a page breaks its lines and words where its width says."""
