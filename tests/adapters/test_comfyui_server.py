"""adapters/comfyui_server against a stand-in of a ComfyUI server."""

from __future__ import annotations

import json
import runpy
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from videocolor.errors import ProgramError
from videocolor.keyframes.program import Program, Runner

WORKFLOW = {
    "3": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
    "7": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}},
}


class StandIn(BaseHTTPRequestHandler):
    """Stores what is uploaded, checks prompts as the server does, and is done at the second question."""

    pictures: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[dict[str, int]] = {}
    prompts: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/upload/image":
            head, _, rest = body.partition(b'name="image"; filename="')
            assert b'name="overwrite"\r\n\r\ntrue' in head
            name, _, rest = rest.partition(b'"\r\nContent-Type: image/png\r\n\r\n')
            self.pictures[name.decode()] = rest.rpartition(b"\r\n--")[0]
            self._answer({"name": name.decode(), "subfolder": "", "type": "input"})
            return
        prompt = json.loads(body)["prompt"]
        self.prompts.append(prompt)
        if "bad" in prompt:
            self._answer({"error": {"message": "invalid prompt"}}, 400)
        else:
            self._answer({"prompt_id": f"id{len(self.prompts)}"})

    def do_GET(self) -> None:
        if self.path.startswith("/view"):
            assert "filename=made.png" in self.path and "type=output" in self.path
            self._send(self.pictures[self.prompts[-1]["3"]["inputs"]["image"]] + b" in color", "image/png")
            return
        number = self.path.rpartition("/")[2]
        self.asked[number] = self.asked.get(number, 0) + 1
        if self.asked[number] < 2:
            self._answer({})
        elif "fails" in self.prompts[-1]:
            why = ["execution_error", {"node_type": "KSampler", "exception_message": "out of memory"}]
            self._answer({number: {"status": {"status_str": "error", "messages": [why]}, "outputs": {}}})
        else:
            image = {"filename": "made.png", "subfolder": "", "type": "output"}
            self._answer({number: {"status": {"status_str": "success"}, "outputs": {"7": {"images": [image]}}}})

    def _answer(self, value: object, code: int = 200) -> None:
        self._send(json.dumps(value).encode(), "application/json", code)

    def _send(self, data: bytes, kind: str, code: int = 200) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def command(root: Path, workflow: Path, *words: str) -> str:
    program = root / "adapters/comfyui_server/color.py"
    return " ".join(f'"{word}"' for word in (sys.executable, program, workflow, *words))


def test_a_frame_goes_through_the_server(root: Path, tmp_path: Path, url: str) -> None:
    (tmp_path / "w.json").write_text(json.dumps(WORKFLOW))
    (tmp_path / "in.png").write_bytes(b"\x89PNG gray")
    with Runner(Program(command(root, tmp_path / "w.json", "--url", url))) as runner:
        runner.color(tmp_path / "in.png", tmp_path / "out.png", {})
        assert runner.said["program"] == "ComfyUI w.json"
    assert (tmp_path / "out.png").read_bytes() == b"\x89PNG gray in color"
    assert StandIn.prompts[-1]["7"] == WORKFLOW["7"]


def test_what_goes_wrong_is_said(root: Path, tmp_path: Path, url: str) -> None:
    adapter = runpy.run_path(str(root / "adapters/comfyui_server/color.py"))
    adapter["Server"].color.__globals__["WAIT"] = 0.01
    (tmp_path / "in.png").write_bytes(b"\x89PNG gray")
    server, node = adapter["Server"](url), {"class_type": "Note", "inputs": {}}
    for flaw, words in (("bad", "400 .*invalid prompt"), ("fails", "KSampler: out of memory")):
        with pytest.raises(adapter["Refused"], match=words):
            server.color({**WORKFLOW, flaw: node}, "3", tmp_path / "in.png")
    with pytest.raises(adapter["Refused"], match="is the server running"):
        adapter["Server"]("http://127.0.0.1:1").color(WORKFLOW, "3", tmp_path / "in.png")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "w.json: Expecting property name"),
        ('{"nodes": [], "links": []}', "not in API format"),
        ('{"1": {"class_type": "SaveImage"}}', "nodes LoadImage: none"),
    ],
)
def test_a_wrong_workflow_ends_the_program(root: Path, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "w.json").write_text(text)
    with Runner(Program(command(root, tmp_path / "w.json"))) as runner, pytest.raises(ProgramError, match=words):
        runner.color(tmp_path / "in.png", tmp_path / "out.png", {})


def test_the_example_is_in_api_format(root: Path) -> None:
    adapter = runpy.run_path(str(root / "adapters/comfyui_server/color.py"))
    workflow, node = adapter["read_workflow"](root / "adapters/comfyui_server/qwen_image_edit.json", None)
    links = {v[0] for n in workflow.values() for v in n["inputs"].values() if isinstance(v, list)}
    assert node == "1" and links < set(workflow)
