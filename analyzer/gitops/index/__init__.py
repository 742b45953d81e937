"""Which place of a repository decides for which container, and what looks wrong on the way."""
