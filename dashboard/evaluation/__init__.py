"""The Evaluation and About pages: how far to trust the model."""
