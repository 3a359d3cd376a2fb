"""Where the browser of the tests is. There is no skipping: without one the tests fail, and say what to do."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless_shell")


def chromium_program() -> str:
    """`$CHROMIUM`, else one on PATH. Raises FileNotFoundError."""
    named = os.environ.get("CHROMIUM")
    if named and not os.access(named, os.X_OK):
        raise FileNotFoundError(f"CHROMIUM is {named!r}, which is no program.")
    found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise FileNotFoundError("No Chromium: run script/test, which finds one, or name yours in $CHROMIUM.")
    return found


def chromium_arguments() -> list[str]:
    # As root Chromium refuses to start with its sandbox; containers often have a tiny /dev/shm.
    return ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
