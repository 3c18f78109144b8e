"""How good answers are: predictions as tables, their metrics with intervals, subgroups, use and drift."""
