"""The page on local performance: how clinician and model agree, and who was right where a biopsy says."""
