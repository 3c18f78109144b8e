"""What `dashboard.server` and `dashboard.serve` run on: processes, nginx, logs, a client of Streamlit sessions."""
