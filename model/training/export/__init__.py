"""Finished runs into the artifact folder: files, answers scored, and what the manifest states of them."""
