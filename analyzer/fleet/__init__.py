"""Many clusters: each run by itself, and all told of together."""
