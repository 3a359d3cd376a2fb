"""Serves static files, and compresses some of them for browsers that accept gzip.

Scripts, styles and SVG images of at least 500 bytes are compressed, once per process.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.headers import Headers

from servestatic import ServeStaticASGI
from servestatic.responders import StaticFile
from servestatic.utils import parse_accept_encoding

_COMPRESSED = (".css", ".js", ".mjs", ".svg")
_LEAST_BYTES = 500


@dataclass(frozen=True, slots=True)
class _Packed:
    body: bytes
    etag: bytes
    headers: list[tuple[bytes, bytes]]


class StaticFiles(ServeStaticASGI):  # type: ignore[misc]  # servestatic is untyped
    """The ASGI application that answers requests for static files. All other requests go to the wrapped application."""

    def __init__(self, application: Any) -> None:
        self._paths: dict[str, Path] = {}
        self._packed: dict[str, _Packed] = {}
        super().__init__(application, max_age=60, allow_all_origins=False, add_headers_function=_vary)

    def get_static_file(self, path: str, url: str, stat_cache: Any = None) -> StaticFile:
        file = super().get_static_file(path, url, stat_cache=stat_cache)
        if path.endswith(_COMPRESSED) and Path(path).stat().st_size >= _LEAST_BYTES:
            self._paths[url] = Path(path)
        return file

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        if scope["type"] != "http" or scope["path"] not in self._paths or not _wants_gzip(scope["method"], headers):
            await super().__call__(scope, receive, send)
            return
        packed = self._pack(scope["path"])
        known = packed.etag in headers.get(b"if-none-match", b"")
        length = [] if known else [(b"content-length", str(len(packed.body)).encode())]
        start = {"type": "http.response.start", "status": 304 if known else 200, "headers": [*packed.headers, *length]}
        await send(start)
        await send({"type": "http.response.body", "body": b"" if known else packed.body})

    def _pack(self, url: str) -> _Packed:
        """Return the compressed file. The first request for it compresses it, which takes some milliseconds."""
        if url not in self._packed:
            path = self._paths[url]
            body = gzip.compress(path.read_bytes(), mtime=0)
            etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            headers = Headers([("Content-Encoding", "gzip"), ("ETag", etag)])
            self.add_mime_headers(headers, str(path), url)
            self.add_cache_headers(headers, str(path), url)
            _vary(headers, str(path), url)
            encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            self._packed[url] = _Packed(body, etag.encode(), encoded)
        return self._packed[url]


def _wants_gzip(method: str, headers: dict[bytes, bytes]) -> bool:
    accepted = parse_accept_encoding(headers.get(b"accept-encoding", b"").decode("latin-1"))
    return method == "GET" and b"range" not in headers and "gzip" in accepted


def _vary(headers: Headers, path: str, _url: str) -> None:
    """Tell caches that some answers are compressed and some are not."""
    if path.endswith(_COMPRESSED):
        headers["Vary"] = "Accept-Encoding"
