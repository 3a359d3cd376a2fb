"""Drives a Firefox over WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/).

Playwright drives only its own builds of Firefox. The tests need the Firefox that people have.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from embedded.firefox import FIREFOX
from embedded.spawn import Child, Order
from harness.system import eventually

SETTINGS = """
user_pref("app.normandy.enabled", false);
user_pref("app.update.disabledForTesting", true);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("browser.safebrowsing.downloads.remote.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "data:,");
user_pref("toolkit.telemetry.enabled", false);
"""
START_SECONDS = 60.0
ANSWER_SECONDS = 60.0


class FirefoxError(Exception):
    """Firefox refused a command, or a script threw an error."""


class FirefoxTab:
    def __init__(self, firefox: "Firefox", context: str) -> None:
        self._firefox, self._context = firefox, context

    async def go(self, address: str) -> None:
        await self._firefox.command("browsingContext.navigate", context=self._context, url=address, wait="complete")

    async def evaluate(self, function: str, argument: Any = None) -> Any:
        """Call a JavaScript function in the tab, and return its result. Argument and result are sent as JSON.

        Raises FirefoxError if the function throws an error.
        """
        answer = await self._firefox.command(
            "script.callFunction",
            target={"context": self._context},
            functionDeclaration=f"async (text) => JSON.stringify((await ({function})(JSON.parse(text))) ?? null)",
            arguments=[{"type": "string", "value": json.dumps(argument)}],
            awaitPromise=True,
        )
        if answer["type"] != "success":
            raise FirefoxError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    async def close(self) -> None:
        await self._firefox.command("browsingContext.close", context=self._context)


class Firefox:
    """A running Firefox. `command` sends it a command, and `open` opens a tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}

    async def read(self) -> None:
        """Read the answers of Firefox until the connection ends. Run this as a task."""
        try:
            async for text in self._socket:
                message = json.loads(text)
                answer = self._answers.pop(message.get("id"), None)
                if answer is None or answer.done():
                    continue
                if message["type"] == "success":
                    answer.set_result(message["result"])
                else:
                    answer.set_exception(FirefoxError(message["message"]))
        except ConnectionClosed:
            pass

    async def command(self, method: str, **parameters: Any) -> Any:
        """Send a command, and return its result. Raises FirefoxError if Firefox refuses the command."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self._answers[number]

    async def open(self, address: str) -> FirefoxTab:
        """Open a tab at an address. All tabs share their cookies and their storage."""
        made = await self.command("browsingContext.create", type="tab")
        tab = FirefoxTab(self, made["context"])
        await tab.go(address)
        return tab


@asynccontextmanager
async def running_firefox(folder: Path) -> AsyncIterator[Firefox]:
    """Run a Firefox with an empty profile in this folder. Fail if no Firefox is installed: no test is skipped.

    Firefox ends when this process ends. The processes that Firefox starts end when Firefox ends.
    """
    program = FIREFOX.find()
    assert program is not None, "There is no Firefox: run script/test, which gets one, or name yours in $FIREFOX."
    profile = folder / "profile"
    profile.mkdir()
    (profile / "user.js").write_text(SETTINGS)
    words = [str(program), "--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", str(profile)]
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "MOZ_CRASHREPORTER_DISABLE": "1"}
    child = Child(Order(argv=words, log_file=folder / "firefox.log", environment=environment))
    listening = profile / "WebDriverBiDiServer.json"
    try:
        await eventually(
            lambda: listening.exists() and bool(listening.read_text()), START_SECONDS, "a Firefox that listens"
        )
        place = json.loads(listening.read_text())
        async with connect(f"ws://{place['ws_host']}:{place['ws_port']}/session", max_size=None) as socket:
            firefox = Firefox(socket)
            reading = asyncio.create_task(firefox.read())
            await firefox.command("session.new", capabilities={})
            yield firefox
            reading.cancel()
    finally:
        child.end(10)
