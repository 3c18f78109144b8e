"""Bytes to RGB pixels to the network's input."""
