"""Who may see what, and of which task: sign-in, roles, the choice of a task, the audit trail on screen."""
