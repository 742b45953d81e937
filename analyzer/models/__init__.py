"""Models: history -> demand."""
