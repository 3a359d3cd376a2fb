"""A person who uses the page in Firefox with the keyboard alone, and knows things by what screen readers call them."""

import asyncio
from pathlib import Path

from harness.firefox import DOWN, ENTER, SHIFT, TAB, FirefoxTab
from harness.system import PASSWORD

ENOUGH_TABS = 120
PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.1
# Waits until the open dialog, or else the view, contains a text. If `item` is not null, the text has to be in the first
# list item or table row that contains `item`.
SEE = """([text, item]) => new Promise((resolve) => {
  const view = () => document.querySelector("dialog[open]") ?? document.querySelector("main");
  const names = (one) => one.checkVisibility() && one.innerText.includes(item);
  const place = () => [...view().querySelectorAll("li, tr")].find(names);
  const look = () => {
    if (!((item === null ? view() : place())?.innerText.replace(/\\s+/g, " ") ?? "").includes(text)) return;
    changes.disconnect();
    resolve();
  };
  const changes = new MutationObserver(look);
  changes.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  look();
})"""
# Waits for the next picture: with it, Firefox tells screen readers what has changed.
PICTURE = "() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve())))"
READ = "() => (document.querySelector('dialog[open]') ?? document.body).innerText"
OPTIONS_COME = """() => new Promise((resolve) => {
  const choice = document.activeElement;
  const look = () => choice.options.length && resolve();
  new MutationObserver(look).observe(choice, { childList: true });
  look();
})"""
CHOSEN = "() => document.activeElement.selectedOptions[0].text"
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Waits until the video of the player moves, or the player says why it does not. Returns what it says.
WATCH = """() => new Promise((resolve) => {
  const [video, problem] = ["video", "[role=alert]"].map((part) => document.querySelector(`dialog[open] ${part}`));
  const look = () => (video.currentTime > 0.1 || problem.innerText) && resolve(problem.innerText);
  video.addEventListener("timeupdate", look);
  new MutationObserver(look).observe(problem, { childList: true });
  look();
})"""
DECODES = """() => MediaSource.isTypeSupported('video/mp4; codecs="avc1.64001f"')"""
# Firefox appends two texts to the label: that of its button, and the name of the chosen file. The field is so tiny that
# Firefox cuts the second text down to "…".
FILE_FIELD = "{} Browse… …"


class Person:
    def __init__(self, tab: FirefoxTab) -> None:
        self._tab = tab

    async def sign_in(self, username: str, *names: str, academy: str = "hanbit") -> None:
        """Fill in the sign-in form, whose fields have these names."""
        for name, text in zip(names, (academy, username, PASSWORD), strict=True):
            await self.fill_in(name, text)
        await self.press(ENTER)

    async def use(self, name: str, role: str = "button", *, back: bool = False) -> None:
        """Move the focus to a button or a link, and press Enter."""
        await self.reach(name, role, back=back)
        await self.press(ENTER)

    async def fill_in(self, name: str, text: str) -> None:
        await self.reach(name)
        await self.press(*text)

    async def select(self, name: str, option: str) -> None:
        """Move the focus to a choice, and press the down arrow until this option is chosen."""
        await self.reach(name, "combobox")
        await self._tab.evaluate(OPTIONS_COME)
        chosen = await self._tab.evaluate(CHOSEN)
        while chosen != option:
            await self.press(DOWN)
            before, chosen = chosen, await self._tab.evaluate(CHOSEN)
            assert chosen != before, f"{name} does not offer {option}: its last option is {chosen}."

    async def choose_file(self, name: str, file: Path) -> None:
        """Move the focus to a file field, and choose a file."""
        await self.reach(FILE_FIELD.format(name), "button")
        field = await self._tab.focused()
        assert field is not None
        await self._tab.choose_files(field, file)

    async def press(self, *keys: str) -> None:
        await self._tab.evaluate(PICTURE)
        await self._tab.press(*keys)
        await self._tab.evaluate(PICTURE)

    async def reach(self, name: str, role: str | None = None, *, back: bool = False) -> None:
        """Press Tab, or Shift and Tab, until something with this name has the focus.

        Fail if the focus leaves the page, as it does after the last element.
        """
        for _ in range(ENOUGH_TABS):
            await self.press(SHIFT + TAB if back else TAB)
            if await self.is_at(name, role):
                return
            if await self._tab.focused() is None:
                break
        text = await self._tab.evaluate(READ)
        raise AssertionError(f"The keyboard does not reach {name!r}. The page says:\n{text}")

    async def is_at(self, name: str, role: str | None = None) -> bool:
        """Return whether something with this name, and this role, has the focus."""
        element = await self._tab.focused()
        return element is not None and await self._tab.is_called(element, name, role)

    async def arrives_at(self, name: str, role: str = "heading") -> None:
        """Wait until the page has moved the focus to something with this name."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await self.is_at(name, role):
                    await asyncio.sleep(PAUSE_SECONDS)
        except TimeoutError:
            text = await self._tab.evaluate(READ)
            raise AssertionError(f"The focus does not come to {name!r}. The page says:\n{text}") from None

    async def sees(self, *texts: str, item: str | None = None) -> None:
        """Wait until the open dialog, or else the view, shows each of these texts.

        If `item` is given, wait until the first list item or table row that contains `item` shows them.
        """
        for text in texts:
            try:
                await self._tab.evaluate(SEE, [text, item])
            except TimeoutError:
                shown = await self._tab.evaluate(READ)
                raise AssertionError(f"There is no {text!r} to be seen. The page says:\n{shown}") from None

    async def watches(self) -> str:
        """Wait until the video in the player moves or the player says why it does not. Return what it says, or ""."""
        said: str = await self._tab.evaluate(WATCH)
        return said

    async def can_decode(self) -> bool:
        """Return whether this Firefox can decode H.264, which it leaves to libraries that the system may not have."""
        return bool(await self._tab.evaluate(DECODES))

    async def sees_no_overflow(self) -> None:
        """Fail if the page has to be scrolled sideways."""
        assert await self._tab.evaluate(OVERFLOW) == 0
