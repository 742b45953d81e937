"""Changes as edits of a repository: planned, proven, shown, proposed."""
