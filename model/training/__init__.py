"""From a dataset to an artifact: recipe, batches, teachers, runs; `export` writes what they came to."""
