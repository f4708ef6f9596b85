"""A ComfyUI at a URL, asked over HTTP. It never asks another host, and no answer is read without a bound.

What it answers is data: it is taken apart with ``as_object`` and ``as_list``, which take nothing for granted.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import urllib.parse
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from lora_core.errors import LoraInputError
from lora_core.text import shortened

JSON_BYTES: Final = 64 << 20
"""The longest answer in JSON that is read. ``/object_info`` of a host with hundreds of packs has about 10 MiB."""

FILE_BYTES: Final = 1 << 30
"""The largest saved file that is fetched."""

_SILENT_SECONDS: Final = 60.0
_JSON_SECONDS: Final = 120.0
_FILE_SECONDS: Final = 1800.0
_CHUNK_BYTES: Final = 1 << 20
_GATEWAY: Final = frozenset({502, 503, 504})
"""What a proxy answers while the server behind it starts."""


class NoAnswerError(Exception):
    """Nobody answered. It may be different in a moment."""


class WorkerGoneError(Exception):
    """This ComfyUI can't be used any more, whatever is asked of it."""


class TooLongError(WorkerGoneError):
    """An answer has more bytes than its bound."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a ComfyUI is: a host, a port, and what comes before each path."""

    secure: bool
    host: str
    port: int | None
    prefix: str

    @property
    def name(self) -> str:
        """What people call it: without the prefix, which may be a secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> Address:
        """Returns what ``url`` means; LoraInputError if it isn't the URL of a server."""
        with contextlib.suppress(ValueError):
            parts = urllib.parse.urlsplit(url)
            plain = not (parts.query or parts.fragment or parts.username or parts.password)
            if parts.scheme in {"http", "https"} and parts.hostname and plain:
                prefix = parts.path.rstrip("/")
                return cls(parts.scheme == "https", parts.hostname, parts.port, prefix)
        raise LoraInputError(
            f'"{url}" is not the address of a ComfyUI. Give one such as http://127.0.0.1:8188.',
            key="host",
            expected="http or https, a host, and perhaps a port and a path",
            found=url,
        )


class Server:
    """Asks one server, a connection for each question. It may be used by several threads."""

    def __init__(self, url: str) -> None:
        self._address = Address.parse(url)
        self.name = self._address.name

    def get(self, path: str) -> Any:
        """Returns the JSON at a path. NoAnswerError if nobody answers, WorkerGoneError if it isn't there."""
        status, content = self._exchange("GET", path, None, JSON_BYTES, _JSON_SECONDS)
        if status != http.client.OK:
            raise WorkerGoneError(f"{self.name} answers {path} with status {status}.")
        return self._json(path, content)

    def post(self, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Returns the status and the JSON that is answered, None if there is none."""
        status, content = self._exchange(
            "POST", path, json.dumps(body).encode(), JSON_BYTES, _JSON_SECONDS
        )
        with contextlib.suppress(ValueError):
            return status, json.loads(content)
        return status, None

    def saved_file(self, name: str, subfolder: str) -> bytes | None:
        """Returns the content of a file in the host's output folder, or None if it isn't there or too large."""
        query = urllib.parse.urlencode({"filename": name, "subfolder": subfolder, "type": "output"})
        with contextlib.suppress(TooLongError):
            status, content = self._exchange(
                "GET", f"/view?{query}", None, FILE_BYTES, _FILE_SECONDS
            )
            return content if status == http.client.OK else None
        return None

    def _exchange(
        self, method: str, path: str, body: bytes | None, most: int, seconds: float
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            with (
                contextlib.closing(self._connection()) as connection,
                _cut_off(connection, seconds),
            ):
                connection.request(method, self._address.prefix + path, body, headers)
                answer = connection.getresponse()
                content = self._bounded(answer, path, most)
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswerError(f"{self.name} does not answer: {error!r}") from error
        if answer.status in _GATEWAY:
            raise NoAnswerError(f"{self.name} answers with status {answer.status}")
        return answer.status, content

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._address.secure else http.client.HTTPConnection
        connection = kind(self._address.host, self._address.port, timeout=_SILENT_SECONDS)
        connection.connect()
        return connection

    def _bounded(self, answer: http.client.HTTPResponse, path: str, most: int) -> bytes:
        content = bytearray()
        while chunk := answer.read1(_CHUNK_BYTES):
            content += chunk
            if len(content) > most:
                where = shortened(path, 120)
                raise TooLongError(f"{self.name} answers {where} with more than {most:,} bytes.")
        if answer.length:  # read1 takes the end of a connection for the end of the answer
            raise http.client.IncompleteRead(b"", answer.length)
        return bytes(content)

    def _json(self, path: str, content: bytes) -> Any:
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise WorkerGoneError(
                f"{self.name} answers {path} with something else than JSON."
            ) from None


@contextlib.contextmanager
def _cut_off(connection: http.client.HTTPConnection, seconds: float) -> Generator[None]:
    """Ends a connection that is still open after ``seconds``; TimeoutError then.

    Its own time limit is on silence, so a byte now and then would keep it for ever.
    """
    late, connected = threading.Event(), connection.sock  # which forgets it at the answer

    def end() -> None:
        late.set()
        with contextlib.suppress(OSError):  # it is closed
            # not that of TLS, which is not for two threads
            socket.socket.shutdown(connected, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if late.is_set():  # what was read may be half of it
        raise TimeoutError(f"it takes longer than {seconds:g} seconds")


def as_object(value: Any) -> Mapping[str, Any]:
    """Returns ``value`` if it is a JSON object, else an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: Any) -> Sequence[Any]:
    """Returns ``value`` if it is a JSON array, else an empty one."""
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()
