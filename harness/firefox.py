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
user_pref("browser.download.alwaysOpenPanel", false);
user_pref("browser.safebrowsing.downloads.remote.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "data:,");
user_pref("toolkit.telemetry.enabled", false);
"""
TAB, ENTER, ESCAPE, SHIFT, DOWN = "\ue004", "\ue007", "\ue00c", "\ue008", "\ue015"
"""Keys, as WebDriver encodes them."""
START_SECONDS = 60.0
ANSWER_SECONDS = 60.0


class FirefoxError(Exception):
    """Firefox refused a command, or a script threw an error."""


class FirefoxTab:
    """A tab of a Firefox. Its elements are known by the ids that Firefox gives them."""

    def __init__(self, firefox: "Firefox", context: str) -> None:
        self._firefox, self._context = firefox, context

    async def go(self, address: str) -> None:
        await self._firefox.command("browsingContext.navigate", context=self._context, url=address, wait="complete")

    async def resize(self, width: int, height: int) -> None:
        """Set the size of the visible part of the page, in CSS pixels."""
        viewport = {"width": width, "height": height}
        await self._firefox.command("browsingContext.setViewport", context=self._context, viewport=viewport)

    async def press(self, *keys: str) -> None:
        """Press and release keys, one after the other. Keys in one string are held together, such as SHIFT + TAB."""
        moves: list[dict[str, str]] = []
        for held in keys:
            moves += [{"type": "keyDown", "value": key} for key in held]
            moves += [{"type": "keyUp", "value": key} for key in reversed(held)]
        keyboard = {"type": "key", "id": "keyboard", "actions": moves}
        await self._firefox.command("input.performActions", context=self._context, actions=[keyboard])

    async def focused(self) -> str | None:
        """Return the id of the element that has the focus, or None if the focus is not in the page."""
        answer = await self._call("() => document.hasFocus() ? document.activeElement : null")
        return answer.get("sharedId")

    async def is_called(self, element: str, name: str, role: str | None = None) -> bool:
        """Return whether Firefox tells screen readers that an element has this name, and this role."""
        value = {"name": name} | ({"role": role} if role else {})
        answer = await self._firefox.command(
            "browsingContext.locateNodes",
            context=self._context,
            locator={"type": "accessibility", "value": value},
            startNodes=[{"sharedId": element}],
        )
        return any(node["sharedId"] == element for node in answer["nodes"])

    async def choose_files(self, element: str, *files: Path) -> None:
        """Choose `files` in a file field, as a user does in its dialog."""
        await self._firefox.command(
            "input.setFiles", context=self._context, element={"sharedId": element}, files=[str(file) for file in files]
        )

    async def evaluate(self, function: str, argument: Any = None) -> Any:
        """Call a JavaScript function in the tab, and return its result. Argument and result are sent as JSON.

        Raises FirefoxError if the function throws an error.
        """
        answer = await self._call(
            f"async (text) => JSON.stringify((await ({function})(JSON.parse(text))) ?? null)",
            {"type": "string", "value": json.dumps(argument)},
        )
        return json.loads(answer["value"])

    async def close(self) -> None:
        await self._firefox.command("browsingContext.close", context=self._context)

    async def _call(self, function: str, *arguments: dict[str, str]) -> dict[str, Any]:
        """Call a JavaScript function, and return its result as WebDriver describes it."""
        answer = await self._firefox.command(
            "script.callFunction",
            target={"context": self._context},
            functionDeclaration=function,
            arguments=list(arguments),
            awaitPromise=True,
        )
        if answer["type"] != "success":
            raise FirefoxError(answer["exceptionDetails"]["text"])
        result: dict[str, Any] = answer["result"]
        return result


class Firefox:
    """A running Firefox. `command` sends it a command, and `open` opens a tab. It saves files in `downloads`."""

    def __init__(self, socket: ClientConnection, downloads: Path) -> None:
        self._socket, self.downloads = socket, downloads
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
        """Open a tab at an address. All these tabs share their cookies and their storage."""
        return await self._open(address)

    @asynccontextmanager
    async def apart(self, address: str) -> AsyncIterator[FirefoxTab]:
        """Open a tab that has its own cookies and storage, and close it at the end of the block."""
        made = await self.command("browser.createUserContext")
        try:
            yield await self._open(address, userContext=made["userContext"])
        finally:
            await self.command("browser.removeUserContext", userContext=made["userContext"])

    async def _open(self, address: str, **more: str) -> FirefoxTab:
        made = await self.command("browsingContext.create", type="tab", **more)
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
            firefox = Firefox(socket, folder / "Downloads")
            reading = asyncio.create_task(firefox.read())
            await firefox.command("session.new", capabilities={})
            yield firefox
            reading.cancel()
    finally:
        child.end(10)
