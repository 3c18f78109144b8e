"""Tasks, datasets, saved cases and synthetic samples; no network and no screen."""
