"""Upload a dermoscopic image, see what the classifier makes of it and what raised its scores."""

import streamlit as st

from dashboard import review_widgets as widgets

st.title("Review a lesion")
answer_area = st.container()
uploads = widgets.image_inputs()

with answer_area:
    if uploads:
        upload = widgets.queue_navigation(uploads)
        analysis = widgets.analyse(upload)
        if analysis is not None:
            widgets.result(upload, analysis)
        widgets.queue_table(uploads)
        st.divider()
    else:
        widgets.empty_state()
