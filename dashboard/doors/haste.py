"""What a quick user does while a page is still being drawn, and Streamlit would lose without a word."""

from __future__ import annotations

from streamlit import runtime
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


class OpenPage:
    """The page that a browser is on, or on its way to.

    Until it has heard that another page is drawn, a browser names the page that it comes from: a field that is left
    when a link is clicked, or a part that has just loaded, would bring that page back, and undo the click.
    """

    def __init__(self) -> None:
        self._page = self._query = ""
        self._is_asked = False

    def mend(self, asked: BackMsg) -> bool:
        """Note the page that the browser asks for; have what it asks of a part of a page asked of the open one.

        Returns:
            Whether the message was changed.
        """
        if asked.WhichOneof("type") != "rerun_script":
            return False
        run = asked.rerun_script
        if not run.fragment_id:
            if run.page_script_hash:
                self._is_asked |= run.page_script_hash != self._page
                self._page, self._query = run.page_script_hash, run.query_string
            return False
        if not self._page or run.page_script_hash == self._page:
            return False
        run.page_script_hash, run.query_string = self._page, self._query
        return True

    def note(self, told: ForwardMsg) -> None:
        """Take notice of what the browser is told of its page."""
        kind = told.WhichOneof("type")
        if kind == "new_session" and not told.metadata.run.fragment_ids:
            # What comes before it was still on its way when the browser asked.
            self._is_asked &= told.new_session.page_script_hash != self._page
        elif kind == "navigation" and not self._is_asked and told.navigation.page_script_hash != self._page:
            self._page, self._query = told.navigation.page_script_hash, ""


def addresses(asked: BackMsg, session: str) -> ForwardMsg | None:
    """Where a browser may put the files that its user has chosen; None where it asks for something else.

    Streamlit answers as well, but drops the answer where the page begins to be drawn again in the same moment, and the
    browser waits for ever.
    """
    if asked.WhichOneof("type") != "file_urls_request":
        return None
    answer = ForwardMsg()
    answer.file_urls_response.response_id = asked.file_urls_request.request_id
    manager = runtime.get_instance().uploaded_file_mgr
    for one in manager.get_upload_urls(session, asked.file_urls_request.file_names):
        answer.file_urls_response.file_urls.add(
            file_id=one.file_id, upload_url=one.upload_url, delete_url=one.delete_url
        )
    return answer
