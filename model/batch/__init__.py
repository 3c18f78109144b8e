"""Many images as one table: sources, facts, rows in parts, several processes or a cluster."""
