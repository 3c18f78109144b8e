"""What the studies stored in an artifact: tables, words and how the Evaluation page draws them."""
