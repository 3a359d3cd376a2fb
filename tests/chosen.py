"""Prints whether the arguments of `script/test` choose `some` tests or `all`.

On the same line it prints the programs that these tests need and that may have to be downloaded: for the arguments
`-x tests/docs`, `python -m tests.chosen` prints `some chromium`.

pytest itself parses the arguments, so that the value of an option (`-k expression`, `--maxfail 3`) does not count as a
path. For paths that do not exist the exit code is 1, with a sentence for each. For a wrong option pytest prints its own
message.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROXIES = Path("tests/proxies")
_CLIENT_FAULTS = Path("tests/realtime/client/faults")
_PROGRAMS = {
    "chromium": (
        Path("tests/docs/test_browser_blocks.py"),
        Path("tests/page"),
        Path("tests/realtime/client"),
        _PROXIES,
    ),
    "firefox": (Path("tests/page/test_event_source.py"), Path("tests/page/test_firefox.py"), _CLIENT_FAULTS),
    "nginx": (_PROXIES, _CLIENT_FAULTS),
    "haproxy": (_PROXIES,),
}
"""The programs that may have to be downloaded, each with the folders or files whose tests need it."""
_CHOOSING_OPTIONS = ("keyword", "markexpr", "lf", "failedfirst", "stepwise", "deselect")


class _Look:
    """A plugin of pytest that prints what the parsed arguments choose, and keeps pytest from running any test."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int:
        given = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
        paths = [word.partition("::")[0] for word in given]
        missing = [path for path in dict.fromkeys(paths) if not Path(path).exists()]
        for path in missing:
            sys.stderr.write(f"script/test: {path} does not exist, so no test was run.\n")
        if missing:
            return 1
        some = bool(given) or any(config.getoption(name, None) for name in _CHOOSING_OPTIONS)
        needed = [program for program, folders in _PROGRAMS.items() if _reach(paths, folders)]
        sys.stdout.write(" ".join(["some" if some else "all", *needed]) + "\n")
        return 0


def _reach(paths: Sequence[str], folders: Sequence[Path]) -> bool:
    """Return whether the paths choose any test of the folders. Without paths, all tests are chosen."""
    wanted = [folder.resolve() for folder in folders]
    given = [Path(path).resolve() for path in paths]
    return not given or any(path.is_relative_to(one) or one.is_relative_to(path) for path in given for one in wanted)


def main(words: Sequence[str]) -> int:
    """Print the line that the docstring of this module describes, and return the exit code."""
    # Do not load the project's settings and fixtures: loading them would take seconds and start servers.
    return int(pytest.main(["-c", os.devnull, "--noconftest", *words], plugins=[_Look()]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
