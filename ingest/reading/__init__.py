"""From a file to its pages of text, in a child process."""
