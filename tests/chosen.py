"""Which tests the words after `script/test` choose: `python -m tests.chosen -x tests/realtime` prints `some` or `all`.

After it come the programs that these tests need and that may have to be downloaded: `some chromium`.
pytest itself reads the words, so that the value of an option (`-k expression`, `--maxfail 3`) is not taken for a path.
Ends with 1 and one sentence for each path that does not exist; with pytest's own message for a wrong option.
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
_PROGRAMS = {
    "chromium": (Path("tests/page"), _PROXIES),
    "firefox": (Path("tests/page/test_event_source.py"),),
    "nginx": (_PROXIES,),
    "haproxy": (_PROXIES,),
}
"""With the folders or files whose tests need them."""
_CHOOSING_OPTIONS = ("keyword", "markexpr", "lf", "failedfirst", "stepwise", "deselect")


class _Look:
    """Looks at what pytest has read, and keeps it from running anything."""

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
    """Whether tests of the folders are among those at the paths; without paths all are."""
    wanted = [folder.resolve() for folder in folders]
    given = [Path(path).resolve() for path in paths]
    return not given or any(path.is_relative_to(one) or one.is_relative_to(path) for path in given for one in wanted)


def main(words: Sequence[str]) -> int:
    """Returns the exit code."""
    # Without the project's settings and fixtures, which would take seconds and start servers.
    return int(pytest.main(["-c", os.devnull, "--noconftest", *words], plugins=[_Look()]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
