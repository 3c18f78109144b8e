"""What every page stands on: identity, words for errors and metrics, colours, common widgets."""
