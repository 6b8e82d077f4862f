"""A web server for tests: nginx, with a configuration of its own, run as whoever runs the test.

Take its fixture into a test module with ``pytest_plugins = ["support.servers.nginx"]``.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONFIGURATION = """\
daemon off;
worker_processes 1;
{user}
pid {prefix}/nginx.pid;
events {{}}
http {{
    default_type application/octet-stream;
    log_format requests escape=json
        '{{"request": "$request", "status": $status, '
        '"body_bytes_sent": $body_bytes_sent, "range": "$http_range"}}';
    access_log {prefix}/access.log requests;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root "{root}";
        {directives}
    }}
}}
"""


@dataclass(frozen=True)
class Request:
    """A request, as nginx logged it."""

    method: str
    path: str
    status: int
    body_bytes_sent: int
    range: tuple[int, int] | None
    """First byte asked for, and the one after the last."""

    @classmethod
    def from_log(cls, line: str) -> Request:
        entry = json.loads(line)
        method, path, _ = entry["request"].split(" ")
        span = None
        if entry["range"]:
            first, last = entry["range"].removeprefix("bytes=").split("-")
            span = int(first), int(last) + 1
        return cls(method, path, entry["status"], entry["body_bytes_sent"], span)


def find_nginx() -> str:
    """Return nginx's path; Debian has it where only root looks for programs."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which("nginx", path=path)
    if found is None:
        pytest.fail("this test needs nginx: apt-get install nginx-light", pytrace=False)
    return found


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _user() -> str:
    # Only root may name a user; its workers would else be nobody, who cannot read tmp_path.
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(os.getegid()).gr_name};"


class Nginx:
    """A server of the files in a folder.

    Parameters
    ----------
    root : Path
        The folder to serve.
    prefix : Path
        A folder for its configuration, logs and temporary files.
    directives : str
        To put into the configuration's server block.
    """

    def __init__(self, root: Path, prefix: Path, directives: str = "") -> None:
        program = find_nginx()
        prefix.mkdir(parents=True)
        self.prefix = prefix
        self._log = prefix / "access.log"
        self._marks = 0
        # Somebody else may take the port between our finding it free and nginx's start.
        for _ in range(5):
            port = _free_port()
            self.url = f"http://127.0.0.1:{port}"
            (prefix / "nginx.conf").write_text(
                CONFIGURATION.format(
                    user=_user(), prefix=prefix, port=port, root=root, directives=directives
                )
            )
            self._process = subprocess.Popen(
                [program, "-p", str(prefix), "-c", "nginx.conf", "-e", str(prefix / "error.log")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if self._is_up(port):
                return
            self.stop()
            errors = (prefix / "error.log").read_text()
            if "in use" not in errors:
                break
        pytest.fail(f"nginx does not start:\n{errors}", pytrace=False)

    def _is_up(self, port: int) -> bool:
        deadline = time.monotonic() + 10
        while self._process.poll() is None and time.monotonic() < deadline:
            # The port may be answered by whoever took it before nginx could; nginx itself
            # answers before it has written down its number.
            if (self.prefix / "nginx.pid").exists():
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    return self._process.poll() is None
            time.sleep(0.01)
        return False

    def stop(self) -> None:
        """End the server."""
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def requests(self) -> list[Request]:
        """Return all requests so far whose answers have arrived.

        nginx logs a request after the answer is on its way. It logs them in order, so that
        one more request, once it is in the log, tells that all before it are.
        """
        self._marks += 1
        mark = f"/mark-{self._marks}"
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(self.url + mark, timeout=10)
        error.value.close()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            seen = [
                Request.from_log(line)
                for line in self._log.read_text().splitlines(True)
                if line.endswith("\n")
            ]
            if any(request.path == mark for request in seen):
                return [request for request in seen if not request.path.startswith("/mark-")]
            time.sleep(0.01)
        pytest.fail(f"nginx did not log a request for {mark}", pytrace=False)


@pytest.fixture
def start_nginx(tmp_path: Path) -> Iterator[Callable[..., Nginx]]:
    """Give a function that starts servers, ``start_nginx(root, directives="")``.

    They are stopped after the test.
    """
    with contextlib.ExitStack() as servers:
        count = 0

        def start(root: Path, directives: str = "") -> Nginx:
            nonlocal count
            count += 1
            server = Nginx(root, tmp_path / f"nginx-{count}", directives)
            servers.callback(server.stop)
            return server

        yield start
