"""The classifier: from images to calibrated answers, their evidence and evaluation; the modules here are commands."""
