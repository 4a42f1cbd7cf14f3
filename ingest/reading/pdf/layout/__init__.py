"""Where a page's words stand: tables told from prose, and the order that a reader follows."""
