"""Commands that measure a finished artifact and write what they found into its manifest."""
