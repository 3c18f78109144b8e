"""A file chosen and a link clicked while a page is being drawn: message by message, and at a real dashboard."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from dashboard.doors import haste
from dashboard.doors.haste import OpenPage, addresses
from dashboard.serving.streamlit_session import StreamlitSession
from tests.support.servers.oidc_provider import running_laptop

PATIENCE = 60
TAB = "0123456789abcdef0123456789abcdef"


def run_of(page: str, fragment: str = "", query: str = "") -> BackMsg:
    message = BackMsg()
    message.rerun_script.page_script_hash = page
    message.rerun_script.fragment_id = fragment
    message.rerun_script.query_string = query
    return message


def began(page: str, *fragments: str) -> ForwardMsg:
    message = ForwardMsg()
    message.new_session.page_script_hash = page
    message.metadata.run.fragment_ids.extend(fragments)
    return message


def navigated(page: str) -> ForwardMsg:
    message = ForwardMsg()
    message.navigation.page_script_hash = page
    return message


def opened(page: str) -> OpenPage:
    """As after the first run: the browser named no page, the server the script and then the page."""
    door = OpenPage()
    assert not door.mend(run_of(""))
    door.note(began("script"))
    door.note(navigated(page))
    return door


def test_what_belongs_to_the_open_page_is_left_as_it_is() -> None:
    door, asked = opened("review"), run_of("review", "form", "case=1")
    assert not door.mend(asked) and asked == run_of("review", "form", "case=1")
    assert not door.mend(run_of("cases")) and not door.mend(BackMsg(stop_script=True))


@pytest.mark.parametrize("told", [[], [began("cases")], [began("cases"), navigated("cases")]])
def test_a_part_of_the_page_that_is_left_does_not_bring_it_back(told: list[ForwardMsg]) -> None:
    door, late = opened("review"), run_of("review", "form", "image=1")
    assert not door.mend(run_of("cases", query="case=1"))
    for message in told:
        door.note(message)
    assert door.mend(late) and late == run_of("cases", "form", "case=1")


def test_what_was_on_its_way_before_the_click_changes_nothing() -> None:
    door, late = opened("review"), run_of("review", "form")
    door.mend(run_of("cases"))
    door.mend(run_of("cases"))  # clicked twice
    door.note(began("review"))
    door.note(navigated("review"))
    assert door.mend(late) and late.rerun_script.page_script_hash == "cases"


def test_a_part_that_is_drawn_again_is_no_new_page() -> None:
    door = opened("review")
    door.mend(run_of("cases"))
    door.note(began("cases", "form"))
    door.note(navigated("review"))
    assert door.mend(run_of("review", "form"))


def test_the_server_may_lead_elsewhere() -> None:
    door, late = opened("review"), run_of("audit", "form")
    door.mend(run_of("audit"))
    door.note(began("audit"))
    door.note(navigated("review"))  # not open to this role
    assert door.mend(late) and late.rerun_script.page_script_hash == "review"
    assert not door.mend(run_of("review", "form"))


def test_addresses_of_chosen_files_are_the_session_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = MemoryUploadedFileManager("/_stcore/upload_file")
    runtime = SimpleNamespace(get_instance=lambda: SimpleNamespace(uploaded_file_mgr=manager))
    monkeypatch.setattr(haste, "runtime", runtime)
    asked = BackMsg()
    asked.file_urls_request.request_id, asked.file_urls_request.session_id = "seven", "another"
    asked.file_urls_request.file_names.extend(["a.jpg", "b.jpg"])
    answer = addresses(asked, "one")
    assert answer is not None and answer.file_urls_response.response_id == "seven"
    given = answer.file_urls_response.file_urls
    assert [one.upload_url for one in given] == [f"/_stcore/upload_file/one/{one.file_id}" for one in given]
    assert len({one.file_id for one in given}) == 2
    assert addresses(run_of("review"), "one") is None


# --- At a real dashboard ---------------------------------------------------------------------------------------------


class Watched(StreamlitSession):
    """Keeps the messages that it receives."""

    def __init__(self, url: str) -> None:
        super().__init__(url, PATIENCE)
        self.told: list[ForwardMsg] = []

    def _take(self, message: ForwardMsg) -> None:
        self.told.append(message)
        super()._take(message)

    async def send(self, *messages: BackMsg, last: int) -> list[ForwardMsg]:
        """Without waiting in between; what the server says until a run has ended so."""
        self.told.clear()
        for message in messages:
            await self._connection.send(message.SerializeToString())
        await self._read_until(lambda message: message.script_finished == last, "script_finished")
        return self.told


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_laptop(tmp_path_factory.mktemp("server")) as (dashboard, _):
        yield dashboard.url


def visit(address: str, use: Callable[[Watched], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        session = Watched(address)
        await session.open()
        try:
            await use(session)
        finally:
            await session.close()

    asyncio.run(run())


def test_a_file_chosen_while_the_page_is_drawn_anew_is_taken(address: str) -> None:
    async def use(session: Watched) -> None:
        for number in range(10):
            asked = BackMsg()
            asked.file_urls_request.request_id = str(number)
            asked.file_urls_request.file_names.append("lesion.jpg")
            said = await session.send(asked, run_of(session._page), last=ForwardMsg.FINISHED_SUCCESSFULLY)
            answers = [told for told in said if told.WhichOneof("type") == "file_urls_response"]
            assert [told.file_urls_response.response_id for told in answers] == [str(number)]

    visit(address, use)


def test_a_click_on_a_link_is_not_undone_by_the_page_that_is_left(address: str) -> None:
    async def use(session: Watched) -> None:
        left, pages = session._page, next(told for told in session.told if told.WhichOneof("type") == "navigation")
        about = next(page.page_script_hash for page in pages.navigation.app_pages if page.url_pathname == "about")
        parts = (told.delta for told in session.told if told.delta.new_element.bidi_component.id)
        tab = next(part for part in parts if "browser_tab" in part.new_element.bidi_component.id)
        late = run_of(left, tab.fragment_id)
        state = late.rerun_script.widget_states.widgets.add(id=tab.new_element.bidi_component.id)
        state.json_value = json.dumps({"name": TAB})
        said = await session.send(run_of(about), late, last=ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)
        runs = [told for told in said if told.WhichOneof("type") == "new_session"]
        assert {told.new_session.page_script_hash for told in runs} == {about}

    visit(address, use)
