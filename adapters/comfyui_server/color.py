"""A workflow of a ComfyUI server as a program for `--keyframes-by`; see README.md.

Reads lines {"in": PATH, "out": PATH} and answers {"out": PATH} or {"error": TEXT}.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any
from urllib import error, parse, request

WAIT = 0.5
"""Seconds between two questions whether a picture is done."""


class Refused(Exception):
    """The server, or the workflow, gave no picture."""


class Server:
    """A ComfyUI server by its HTTP API.

    Args:
        url: such as http://127.0.0.1:8188.
        timeout: seconds for a request.
    """

    def __init__(self, url: str, timeout: float = 60.0) -> None:
        self.url, self.timeout = url.rstrip("/"), timeout

    def color(self, workflow: dict[str, Any], node: str, picture: Path) -> bytes:
        """Run a workflow for a picture; the bytes of the first picture that it saves."""
        prompt = copy.deepcopy(workflow)
        prompt[node]["inputs"]["image"] = self._upload(picture)
        body = json.dumps({"prompt": prompt, "client_id": uuid.uuid4().hex}).encode()
        number = self._json("/prompt", body, "application/json")["prompt_id"]
        while number not in (history := self._json(f"/history/{number}")):
            time.sleep(WAIT)
        done = history[number]
        if done.get("status", {}).get("status_str") == "error":
            raise Refused(f"the workflow failed: {_reason(done)}")
        for output in done.get("outputs", {}).values():
            for image in output.get("images", ()):
                if image.get("type") == "output":
                    return self._ask("/view?" + parse.urlencode(image))
        raise Refused("the workflow saved no picture; it needs a node SaveImage")

    def _upload(self, picture: Path) -> str:
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="overwrite"\r\n\r\ntrue\r\n'.encode(),
            f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{picture.name}"\r\n'.encode(),
            b"Content-Type: image/png\r\n\r\n" + picture.read_bytes() + f"\r\n--{boundary}--\r\n".encode(),
        ]
        stored = self._json("/upload/image", b"".join(parts), f"multipart/form-data; boundary={boundary}")
        folder = stored.get("subfolder")
        return f"{folder}/{stored['name']}" if folder else str(stored["name"])

    def _json(self, path: str, body: bytes | None = None, kind: str = "") -> dict[str, Any]:
        answer = json.loads(self._ask(path, body, kind))
        if not isinstance(answer, dict):
            raise Refused(f"{self.url}{path}: answered {str(answer)[:100]}; is this a ComfyUI server?")
        return answer

    def _ask(self, path: str, body: bytes | None = None, kind: str = "") -> bytes:
        headers = {"Content-Type": kind} if kind else {}
        try:
            with request.urlopen(request.Request(self.url + path, body, headers), timeout=self.timeout) as answer:
                return bytes(answer.read())
        except error.HTTPError as problem:
            raise Refused(f"{self.url}{path}: {problem.code} {problem.read()[:300].decode(errors='replace')}") from None
        except OSError as problem:
            raise Refused(f"{self.url}{path}: {problem}; is the server running?") from None


def _reason(done: dict[str, Any]) -> str:
    for kind, facts in done["status"].get("messages", ()):
        if kind == "execution_error":
            return f"{facts.get('node_type')}: {facts.get('exception_message')}"
    return "no reason given"


def read_workflow(path: Path, node: str | None) -> tuple[dict[str, Any], str]:
    """Read a workflow in API format, and find the node that loads the picture."""
    try:
        workflow = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise Refused(f"{path}: {problem}") from None
    if not isinstance(workflow, dict) or not all(isinstance(n, dict) and "class_type" in n for n in workflow.values()):
        raise Refused(f"{path}: not in API format; in ComfyUI, choose Workflow > Export (API)")
    loaders = [name for name, found in workflow.items() if found["class_type"] == "LoadImage"]
    if node is None and len(loaders) == 1:
        return workflow, loaders[0]
    if node not in loaders:
        raise Refused(f"{path}: nodes LoadImage: {', '.join(loaders) or 'none'}; name the one for the frame by --node")
    return workflow, node


def main() -> None:
    """Color the pictures that the lines of standard input name."""
    parser = argparse.ArgumentParser(description="Colors pictures named by lines of JSON by a workflow of ComfyUI.")
    parser.add_argument("workflow", type=Path, help="a workflow, exported in API format")
    parser.add_argument("--url", default="http://127.0.0.1:8188", help="of the server")
    parser.add_argument("--node", help="number of the node LoadImage that gets the frame, where there are several")
    options = parser.parse_args()
    try:
        workflow, node = read_workflow(options.workflow, options.node)
    except Refused as problem:
        sys.exit(f"error: {problem}")
    server = Server(options.url)
    print(json.dumps({"program": f"ComfyUI {options.workflow.name}", "version": "HTTP API"}), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        try:
            Path(job["out"]).write_bytes(server.color(workflow, node, Path(job["in"])))
            answer = {"out": job["out"]}
        except (Refused, OSError, ValueError, LookupError) as problem:
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
