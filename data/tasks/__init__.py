"""Tasks: what is told apart, in which order, and the words for it."""
