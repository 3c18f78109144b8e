"""Keras networks: backbones, heads and losses."""
