"""Heatmaps, what they are worth, similar images and stress tests."""
