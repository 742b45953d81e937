"""What kubectl and helm build of a repository, and what charts make of their values."""
