"""Everything loaded once and shared by all sessions, and the only caches: read what they give, never change it."""
