"""Saved cases: the worklist, one open case, its forms and the timeline of a lesion."""
