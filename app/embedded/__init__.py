"""The services that the program brings along, for a machine where nobody else runs them."""
