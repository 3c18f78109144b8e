"""From a dataset to an artifact: recipe, batches, runs, scoring, what the manifest states."""
