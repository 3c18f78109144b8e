"""Pure numbers: metrics and intervals, which know no task, no image and no network."""
