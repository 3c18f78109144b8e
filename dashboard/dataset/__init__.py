"""The Dataset page: a cohort of HAM10000, counted and drawn."""
