"""What every page stands on: caches, identity, words for errors and metrics, colours, common widgets."""
