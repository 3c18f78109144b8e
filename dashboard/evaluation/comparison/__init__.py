"""Another model on the same locked test images: its table of predictions, read and set beside ours."""
