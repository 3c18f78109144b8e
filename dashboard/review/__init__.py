"""The Review page: an upload, the own read, the answer with its evidence, the decision."""
