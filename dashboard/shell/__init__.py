"""What every page stands on: settings, caches, identity, words for errors and metrics, colours, common widgets."""
