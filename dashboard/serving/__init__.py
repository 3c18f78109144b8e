"""What `dashboard.server` and `dashboard.serve` run on: processes, nginx, compressed scripts, logs, a client of
Streamlit sessions.
"""
