"""A studio that listens, for tests: the real server on a real socket, in a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

from videocolor.studio.serve import StudioServer, studio_server

__all__ = ["Client", "serving", "until"]


def until(true: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait for something to become true; what it became."""
    end = monotonic() + seconds
    while not (found := true()):
        assert monotonic() < end, "it never came true"
        sleep(0.01)
    return found


@dataclass(eq=False)
class Client:
    """A page."""

    served: StudioServer
    http: httpx.Client

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(path, params=query)

    def project(self) -> Any:
        return self.http.get("/api/project").json()

    def change(self, method: str, path: str, **json: Any) -> Any:
        """Change the project as it is now; the new document."""
        answer = self.http.request(method, path, json={"revision": self.project()["revision"], **json})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def upload(self, path: str, data: Any, name: str = "", **query: Any) -> httpx.Response:
        query = {"revision": self.project()["revision"], **query}
        return self.http.post(path, params=query, content=data, headers={"X-File-Name": name} if name else {})

    def scanned(self) -> Any:
        """The document when the film has been looked through."""
        until(lambda: self.project()["scan"]["state"] != "running")
        self.served.studio.scan.settled(60)
        return self.project()


@contextmanager
def serving(film: Path, project: Path | None = None) -> Iterator[Client]:
    """Serve a film; the page has been opened, so the client holds the cookie. No network is loaded beforehand."""
    with studio_server(film, project) as served:
        thread = threading.Thread(target=served.run)
        thread.start()
        try:
            served.studio.start(warm=False)
            with httpx.Client(base_url=f"http://127.0.0.1:{served.port}", timeout=60) as http:
                assert http.get("/", params={"token": served.token}).status_code == 200
                yield Client(served, http)
        finally:
            served.server.should_exit = True
            thread.join(60)
            assert not thread.is_alive()
