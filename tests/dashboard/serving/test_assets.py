"""Scripts and styles as they are sent: compressed, kept by the browser for good, and plain to whoever asks for that."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import brotli
import httpx
import pytest
from starlette.responses import PlainTextResponse
from streamlit import file_util

from dashboard.server import HEADERS
from dashboard.serving import assets
from dashboard.serving.assets import ENCODINGS, CompressedAssets, accepted_encoding
from tests.support.servers.oidc_provider import running_laptop

FOR_GOOD = "public, max-age=31536000, immutable"
DECODERS = {"br": brotli.decompress, "gzip": gzip.decompress}
STATIC = Path(file_util.get_static_dir())


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_laptop(tmp_path_factory.mktemp("server")) as (dashboard, _):
        yield dashboard.url


@pytest.fixture(scope="module")
def names(address: str) -> list[str]:
    """Every script and style that the page itself asks for: `/static/js/index.DormvYxC.js` and so on."""
    page = httpx.get(address)
    assert page.headers["cache-control"] == "no-cache"
    found = [f"/{name}" for name in re.findall(r'(?:src|href)="\./(static/(?:js|css)/[^"]+)"', page.text)]
    assert len(found) > 10 and {name.rpartition(".")[2] for name in found} == {"js", "css"}
    return found


def raw(method: str, url: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """An answer, and its body as it came over the wire; `Accept-Encoding` only where it is given."""
    asked = {"Accept-Encoding": "identity"} | {name.replace("_", "-"): value for name, value in headers.items()}
    with httpx.stream(method, url, headers=asked) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize("accepted, encoding", [("gzip, deflate, br, zstd", "br"), ("gzip, deflate", "gzip")])
def test_every_script_and_style_of_the_page_is_sent_compressed_and_kept(
    address: str, names: list[str], accepted: str, encoding: str
) -> None:
    sent = 0
    for name in names:
        answer, body = raw("GET", address + name, Accept_Encoding=accepted)
        assert answer.status_code == 200
        assert answer.headers["content-encoding"] == encoding
        assert answer.headers["cache-control"] == FOR_GOOD
        assert answer.headers["vary"] == "Accept-Encoding"
        assert int(answer.headers["content-length"]) == len(body)
        kind = "text/javascript" if name.endswith(".js") else "text/css"
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert {header: answer.headers[header] for header in HEADERS} == HEADERS
        assert DECODERS[encoding](body) == (STATIC / name.lstrip("/")).read_bytes()
        sent += len(body)
    assert sent < 0.4 * sum((STATIC / name.lstrip("/")).stat().st_size for name in names)


@pytest.mark.parametrize("accepted", ["identity", "", "gzip;q=0, br;q=0.0", "deflate"])
def test_client_that_takes_no_compression_gets_the_file(address: str, names: list[str], accepted: str) -> None:
    answer, body = raw("GET", address + names[0], Accept_Encoding=accepted)
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["cache-control"].split(", ")[0] == "public" and "immutable" in answer.headers["cache-control"]
    assert body == (STATIC / names[0].lstrip("/")).read_bytes()


def test_head_says_what_get_sends(address: str, names: list[str]) -> None:
    got, body = raw("GET", address + names[0], Accept_Encoding="gzip")
    head, nothing = raw("HEAD", address + names[0], Accept_Encoding="gzip")
    same = ("content-encoding", "content-length", "content-type", "cache-control", "etag", "vary")
    assert (head.status_code, nothing) == (200, b"")
    assert {name: head.headers[name] for name in same} == {name: got.headers[name] for name in same}
    assert len(body) == int(head.headers["content-length"])


def test_known_file_is_not_sent_again(address: str, names: list[str]) -> None:
    url = address + names[0]
    tags = {name: raw("GET", url, Accept_Encoding=name)[0].headers["etag"] for name in ("br", "gzip", "identity")}
    assert len(set(tags.values())) == 3
    for name, tag in tags.items():
        answer, body = raw("GET", url, Accept_Encoding=name, If_None_Match=f'"other", W/{tag}')
        assert (answer.status_code, body, answer.headers["etag"]) == (304, b"", tag)
        assert answer.headers["vary"] == "Accept-Encoding"
    # What is known in one encoding is sent to a client that asks for another.
    answer, body = raw("GET", url, Accept_Encoding="gzip", If_None_Match=tags["br"])
    assert (answer.status_code, answer.headers["content-encoding"]) == (200, "gzip")
    assert gzip.decompress(body) == (STATIC / names[0].lstrip("/")).read_bytes()


def test_ranges_are_of_the_plain_file(address: str, names: list[str]) -> None:
    file = (STATIC / names[0].lstrip("/")).read_bytes()
    answer, body = raw("GET", address + names[0], Accept_Encoding="gzip, br", Range="bytes=10-19")
    assert (answer.status_code, body) == (206, file[10:20])
    assert answer.headers["content-range"] == f"bytes 10-19/{len(file)}"
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/evaluation", "/static/js/none.AAAAAAAA.js", "/static/js/../../index.html"])
def test_page_itself_is_asked_for_again_every_time(address: str, path: str) -> None:
    answer = httpx.get(address + path)
    assert answer.headers["cache-control"] == "no-cache"
    assert '<div id="root">' in answer.text


def test_only_reading_is_answered(address: str, names: list[str]) -> None:
    assert raw("POST", address + names[0], Accept_Encoding="gzip")[0].status_code == 405


def test_many_at_once_compress_a_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "static" / "js").mkdir(parents=True)
    (tmp_path / "static" / "js" / "made-up.12345678.js").write_text("let x = 1;\n" * 1000)
    compressed: list[int] = []

    def compress(content: bytes) -> bytes:
        compressed.append(len(content))
        return gzip.compress(content)

    monkeypatch.setitem(assets.ENCODINGS, "gzip", compress)
    app = CompressedAssets(PlainTextResponse("passed on"), tmp_path)

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            headers = {"Accept-Encoding": "gzip"}
            return await asyncio.gather(
                *(client.get("/static/js/made-up.12345678.js", headers=headers) for _ in range(9))
            )

    assert {answer.text for answer in asyncio.run(ask())} == {"let x = 1;\n" * 1000}
    assert compressed == [11_000]


@pytest.mark.parametrize(
    "header, encoding",
    [
        ("gzip, deflate, br, zstd", "br"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("GZIP", "gzip"),
        ("*", "br"),
        ("*, br;q=0", "gzip"),
        ("gzip;q=0.000", None),
        ("*;q=0", None),
        ("gzip;q=0.001", "gzip"),
        ("identity, x-gzip", None),
        ("", None),
    ],
)
def test_accepted_encoding(header: str, encoding: str | None) -> None:
    assert accepted_encoding(header) == encoding
    assert encoding is None or encoding in ENCODINGS
