"""Public datasets as tables, and how they are split."""
