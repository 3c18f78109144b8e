"""What a browser meets before Streamlit: addresses, sign-in, what may be sent to a session, uploads and their end."""
