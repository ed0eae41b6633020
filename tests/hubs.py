"""Hubs: ways to reach a memory over the network, each with the real program, on a high port of this machine.

    with git_daemon(folder) as hub: git clone hub.url("memory.git")

Each serves every repository in a folder. Pushes over them prove nothing of who pushes, but for ssh keys
made with `SshHub.key(..., agent="ann")`.
"""

import getpass
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

SSHD = "/usr/sbin/sshd"
# What the memory's side has to know to run this gitmem, and to know nothing of this machine's user.
SERVER_SIDE = ("PYTHONPATH", "HOME", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL")


@dataclass(frozen=True)
class Hub:
    """Where the repositories of a folder can be reached."""

    base: str

    def url(self, name: str) -> str:
        """The URL of one of the repositories."""
        return f"{self.base}/{name}"


def free_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def file_hub(folder: Path) -> Iterator[Hub]:
    """The repositories by path, as a file URL."""
    yield Hub(f"file://{folder}")


@contextmanager
def git_daemon(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Hub]:
    """The repositories through `git daemon`, for reading and writing by anybody."""
    port = free_port()
    command = [
        "git", "daemon", "--verbose", "--reuseaddr", "--export-all", "--enable=receive-pack", "--listen=127.0.0.1",
        f"--port={port}", f"--base-path={folder}", str(folder),
    ]
    with _running(command, ready="Ready to rumble", environment=environment):
        yield Hub(f"git://127.0.0.1:{port}")


@contextmanager
def ssh_hub(folder: Path, keys: Path) -> Iterator["SshHub"]:
    """The repositories through a sshd of its own; `keys` is a folder for its keys and settings."""
    keys.mkdir(exist_ok=True)
    port = free_port()
    _ssh_key(keys / "host")
    (keys / "authorized_keys").touch()
    passed = " ".join(f"{name}={os.environ[name]}" for name in SERVER_SIDE if name in os.environ)
    (keys / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/authorized_keys\nPidFile none\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nAcceptEnv *\nMaxStartups 100\n"
        + (f"SetEnv {passed}\n" if passed else "")
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd insists on it
    with _running([SSHD, "-D", "-e", "-f", str(keys / "sshd_config")], ready="Server listening"):
        yield SshHub(f"ssh://{getpass.getuser()}@127.0.0.1:{port}{folder}", folder, keys)


@dataclass(frozen=True)
class SshHub(Hub):
    """A sshd for a folder of repositories."""

    folder: Path
    keys: Path

    def key(self, name: str, *, agent: str = "", options: str = "") -> dict[str, str]:
        """Let a new key in; the environment with which the git program uses it.

        With `agent`, it may run nothing but `gitmem ssh-serve` as that agent; `options` are more of its arguments.
        """
        _ssh_key(self.keys / name)
        public = (self.keys / f"{name}.pub").read_text()
        serve = f"{sys.executable} -P -m gitmem.facade.cli ssh-serve --agent {agent} --repo {self.folder} {options}".strip()
        with (self.keys / "authorized_keys").open("a") as file:
            file.write(f'restrict,command="{serve}" {public}' if agent else public)
        return {"GIT_SSH_COMMAND": self.command(name)}

    def command(self, name: str) -> str:
        """The ssh command that uses a key: for GIT_SSH_COMMAND or git's core.sshCommand."""
        options = {
            "IdentitiesOnly": "yes", "StrictHostKeyChecking": "accept-new", "UserKnownHostsFile": f"{self.keys}/known",
            "LogLevel": "ERROR", "BatchMode": "yes",
        }
        return " ".join(["ssh", "-F", "none", "-i", str(self.keys / name), *(f"-o {key}={value}" for key, value in options.items())])


@contextmanager
def http_backend(folder: Path, *, user: str = "") -> Iterator[Hub]:
    """The repositories through `git http-backend`, for writing too; `user` is what the web server says about who calls."""
    environment = {**os.environ, "GIT_PROJECT_ROOT": str(folder), "GIT_HTTP_EXPORT_ALL": "1"}
    # git http-backend lets only users in whom the web server has named, unless the repository says otherwise
    settings = {} if user else {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.receivepack", "GIT_CONFIG_VALUE_0": "true"}
    handler = type("Handler", (_Cgi,), {"environment": environment | settings, "user": user})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Hub(f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Cgi(BaseHTTPRequestHandler):
    """As little of a web server as git http-backend needs."""

    environment: ClassVar[Mapping[str, str]] = {}
    user: ClassVar[str] = ""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        chunks = iter(self._chunks()) if self.headers.get("Transfer-Encoding") == "chunked" else None
        self._answer(b"".join(chunks) if chunks else self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        variables = {
            "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": self.command, "PATH_INFO": path, "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": self.client_address[0], "REMOTE_USER": self.user,
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, capture_output=True, check=False,
            env={**self.environment, **{name: value for name, value in variables.items() if value}},
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def _ssh_key(path: Path) -> None:
    if not path.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)], check=True)


@contextmanager
def _running(command: list[str], *, ready: str, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """A server that says on standard error when it listens, and is ended with the block."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    assert process.stderr is not None
    said: list[str] = []
    for line in process.stderr:
        said.append(line)
        if ready in line:
            break
    else:
        raise AssertionError(f"{command[0]} does not start: {''.join(said)}")
    # nobody else reads what it says: a full pipe would stop it
    drain = threading.Thread(target=process.stderr.read, daemon=True)
    drain.start()
    try:
        yield
    finally:
        process.terminate()
        process.wait()
        drain.join()
        process.stderr.close()
