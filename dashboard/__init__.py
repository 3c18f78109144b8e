"""The Streamlit dashboard: rooms for its pages, what they share, and the programs that serve it."""
