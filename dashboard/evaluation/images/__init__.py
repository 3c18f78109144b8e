"""The images behind a figure: which they are, and how they are shown, worst errors first."""
