"""One image in, one analysis out, and how it is logged, recorded and sent."""
