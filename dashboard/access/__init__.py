"""Who may see what: sign-in, roles and the audit trail on screen."""
