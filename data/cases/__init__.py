"""Saved cases: values, tables, the case log with its audit trail, and the store of their images."""
