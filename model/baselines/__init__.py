"""Models of other kinds than the served one, and how any trained model becomes a row of the table of models."""
