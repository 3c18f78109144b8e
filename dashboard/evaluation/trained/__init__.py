"""What was trained here: the models beside the served one, and what training costs."""
