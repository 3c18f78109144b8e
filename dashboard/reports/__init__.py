"""Saved cases leave the program: CSV, JSON, ZIP, PDF and FHIR R4."""
