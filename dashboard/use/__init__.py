"""The Use page: how clinician and model agree, and who was right where a biopsy says."""
