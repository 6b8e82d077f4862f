"""An S3 server for tests: moto's, on the loopback address, with a log of the requests.

Take its fixtures into a test module with ``pytest_plugins = ["support.servers.s3"]``.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
import pytest
from moto.moto_server import threaded_moto_server
from moto.server import ThreadedMotoServer

KEYS = {"access_key_id": "testing", "secret_access_key": "testing"}
REGION = "us-east-1"


@dataclass(frozen=True)
class Request:
    """A request, and how many bytes came back."""

    method: str
    path: str
    range: tuple[int, int] | None
    """First byte asked for, and the one after the last."""
    nbytes: int


class Log:
    """Notes requests on their way to a WSGI application.

    Attributes
    ----------
    requests : list of Request
    before : callable (method, path)
        Called before a request is answered, on the thread that answers it.
    """

    def __init__(self, application) -> None:
        self.application = application
        self.requests: list[Request] = []
        self.before = lambda method, path: None

    def __call__(self, environ, start_response):
        self.before(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        asked = environ.get("HTTP_RANGE")
        span = None
        if asked is not None:
            first, last = asked.removeprefix("bytes=").split("-")
            span = (int(first), int(last) + 1) if first else (-int(last), 0)
        body = list(self.application(environ, start_response))
        nbytes = sum(map(len, body))
        self.requests.append(Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], span, nbytes))
        return body


class S3:
    """A running server.

    Attributes
    ----------
    url : str
    keys, region
        What clients must give; any will do.
    """

    keys = KEYS
    region = REGION

    def __init__(self, server: ThreadedMotoServer, log: Log) -> None:
        host, port = server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self._log = log
        self._numbers = itertools.count()

    def make_bucket(self) -> str:
        """Make a bucket of a name that no other has."""
        name = f"bucket-{next(self._numbers)}"
        client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=KEYS["access_key_id"],
            aws_secret_access_key=KEYS["secret_access_key"],
        )
        client.create_bucket(Bucket=name)
        client.close()
        return name

    @contextmanager
    def before_each(self, call):
        """Have something called with method and path of each request before it is answered."""
        former, self._log.before = self._log.before, call
        try:
            yield
        finally:
            self._log.before = former

    def forget(self) -> None:
        """Empty the log."""
        self._log.requests.clear()

    @property
    def chunk_requests(self) -> list[Request]:
        """Requests so far for chunks."""
        return [r for r in self._log.requests if "/c/" in r.path]


@pytest.fixture(scope="session")
def s3():
    """Give a server with a log."""
    logs = []

    def logged(*arguments):
        logs.append(Log(application(*arguments)))
        return logs[0]

    application = threaded_moto_server.DomainDispatcherApplication
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threaded_moto_server, "DomainDispatcherApplication", logged)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
    yield S3(server, logs[0])
    server.stop()
