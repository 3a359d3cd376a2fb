"""Static files are sent compressed to clients that accept gzip. Their content is the same for all clients."""

import httpx
import pytest

from embedded.home import PROJECT
from harness.system import System

SCRIPT = "/static/page/strings.js"


async def get(system: System, path: str = SCRIPT, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=system.address) as client:
        return await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize("path", [SCRIPT, "/static/page/page.css", "/static/realtime/client.js"])
async def test_a_browser_gets_a_script_or_style_compressed_with_the_same_content(system: System, path: str) -> None:
    packed, plain = (
        await get(system, path, Accept_Encoding="gzip, br"),
        await get(system, path, Accept_Encoding="identity"),
    )
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.content == plain.content
    assert int(packed.headers["Content-Length"]) < 0.7 * len(plain.content)
    assert packed.headers["Content-Type"] == plain.headers["Content-Type"]
    assert packed.headers["Cache-Control"] == plain.headers["Cache-Control"]
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert packed.headers["ETag"] != plain.headers["ETag"]


async def test_a_compressed_file_that_the_browser_has_already_is_not_sent_again(system: System) -> None:
    first = await get(system, Accept_Encoding="gzip")
    again = await get(system, Accept_Encoding="gzip", If_None_Match=first.headers["ETag"])
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])


async def test_a_part_of_a_file_and_a_refused_compression_are_answered_plainly(system: System) -> None:
    source = (PROJECT / "apps/page/static/page/strings.js").read_bytes()
    part = await get(system, Accept_Encoding="gzip", Range="bytes=0-9")
    refused = await get(system, Accept_Encoding="gzip;q=0, identity")
    assert (part.status_code, part.content) == (206, source[:10])
    assert (refused.status_code, refused.content) == (200, source)
