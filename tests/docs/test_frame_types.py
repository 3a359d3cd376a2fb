"""Tests that the types of the frames are those of the AsyncAPI document, in TypeScript and in Python."""

import json
import subprocess
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from embedded import typescript
from embedded.home import PROJECT
from harness.asyncapi import document, messages_of
from realtime.conformance.schemas import SENT_BY_CLIENT, SENT_BY_SERVER
from realtime.protocol import frame_types

SCRIPT = PROJECT / "script" / "frame-types"
TYPES = PROJECT / "realtime" / "client" / "frames.d.ts"


def checked() -> "subprocess.CompletedProcess[str]":
    return subprocess.run([SCRIPT, "--check"], capture_output=True, text=True, check=False)


def test_the_files_are_as_the_script_writes_them() -> None:
    done = checked()
    assert (done.returncode, done.stdout) == (0, "")


def test_each_frame_has_a_python_type_with_its_fields() -> None:
    for union, operation in ((frame_types.ServerFrame, SENT_BY_SERVER), (frame_types.ClientFrame, SENT_BY_CLIENT)):
        kinds = {}
        for frame in get_args(union):
            hints = get_type_hints(frame, vars(frame_types))
            (kind,) = get_args(hints["type"])
            kinds[kind] = (set(hints), frame.__required_keys__)
        schemas = document()["components"]["schemas"]
        assert kinds == {
            kind: (set(schemas[kind]["properties"]), frozenset(schemas[kind]["required"]))
            for kind in messages_of(operation)
        }


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("if (frame.type === 'snapshot') { const place: string | undefined = frame.place; }", ""),
        ("if (frame.type === 'closing') { const code: 4410 | 1 = frame.code; }", "TS2322"),
        ("if (frame.type === 'novelty') { }", "TS2367"),
        ("if (frame.type === 'welcome') { frame.records; }", "TS2339"),
        ("const pong: import('./frames').ClientFrame = { type: 'pong' };", ""),
        ("const pong: import('./frames').ClientFrame = { type: 'ping' };", "TS2322"),
    ],
)
def test_typescript_knows_each_frame_by_its_type(line: str, error: str, tmp_path: Path) -> None:
    config = {"compilerOptions": {"strict": True, "noEmit": True, "module": "esnext", "moduleResolution": "bundler"}}
    (tmp_path / "tsconfig.json").write_text(json.dumps(config | {"include": ["*.ts"]}), encoding="utf-8")
    (tmp_path / "frames.d.ts").write_text(TYPES.read_text(encoding="utf-8"), encoding="utf-8")
    text = f"import type {{ ServerFrame }} from './frames';\nexport function take(frame: ServerFrame) {{ {line} }}\n"
    (tmp_path / "take.ts").write_text(text, encoding="utf-8")
    command: list[str | Path] = [typescript.compiler(), "--project", tmp_path, "--pretty", "false"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (error in done.stdout, done.returncode == 0) == (True, not error), done.stdout
