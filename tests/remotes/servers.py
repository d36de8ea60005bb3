"""Real servers on loopback for a DVC remote, each in a folder and with a configuration of its own.

Each is a context manager that takes an empty folder and gives a ``Remote``; its processes end with it.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

#: Debian puts these where only root looks.
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
WAIT = 30  # seconds for a server to answer


@dataclass(frozen=True)
class Remote:
    """What a user has to know of a remote.

    Attributes:
        url: for ``dvc remote add``.
        settings: for ``dvc remote modify``.
        environment: variables that DVC needs.
    """

    url: str
    settings: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


@contextmanager
def folder(place: Path) -> Iterator[Remote]:
    """A folder of this machine."""
    yield Remote(str(place / "store"))


@contextmanager
def ssh(place: Path) -> Iterator[Remote]:
    """OpenSSH's server as the current user, with keys of its own."""
    port = _free_port()
    for name in ("host", "user"):
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name))
    home = place / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    host = (place / "host.pub").read_text()
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}")
    (place / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\n"
        f"HostKey {place}/host\n"
        f"AuthorizedKeysFile {place}/user.pub\n"
        f"PidFile {place}/sshd.pid\n"
        "PasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\n"
        "StrictModes no\n"  # the folders above are the test's, and may be open
        "UsePAM no\n"
        "Subsystem sftp internal-sftp\n"
    )
    made = _privilege_separation()
    sshd = shutil.which("sshd", path=PATH)  # it starts itself again, so it wants its whole path
    try:
        with _served([sshd, "-D", "-e", "-f", str(place / "sshd_config")], port, place):
            yield Remote(
                f"ssh://{getpass.getuser()}@127.0.0.1:{port}{place}/store",
                {"keyfile": str(place / "user")},
                {"HOME": str(home)},
            )
    finally:
        if made:
            with suppress(OSError):
                made.rmdir()


def _privilege_separation() -> Path | None:
    """As root sshd wants an empty folder, which Debian makes at boot: made when it is not there."""
    empty = Path("/run/sshd")
    if os.geteuid() or empty.is_dir():
        return None
    empty.mkdir(mode=0o755)
    return empty


@contextmanager
def http(place: Path) -> Iterator[Remote]:
    """nginx, which takes files by PUT (its module dav) and gives them to anybody."""
    port = _free_port()
    (place / "store").mkdir()
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    (place / "nginx.conf").write_text(
        "daemon off;\n"
        f"pid {place}/nginx.pid;\n"
        f"error_log {place}/error.log;\n"
        f"{f'user {getpass.getuser()};' if os.geteuid() == 0 else ''}\n"
        "worker_processes 1;\n"
        "events {}\n"
        "http {\n"
        "    access_log off;\n"
        + "".join(f"    {name}_temp_path {place}/{name};\n" for name in temporary)
        + "    server {\n"
        f"        listen 127.0.0.1:{port};\n"
        "        location / {\n"
        f"            root {place}/store;\n"
        "            dav_methods PUT;\n"
        "            create_full_put_path on;\n"
        "            client_max_body_size 0;\n"
        "        }\n"
        "    }\n"
        "}\n"
    )
    nginx = shutil.which("nginx", path=PATH)
    command = [nginx, "-p", str(place), "-c", str(place / "nginx.conf"), "-e", str(place / "error.log")]
    with _served(command, port, place):
        yield Remote(f"http://127.0.0.1:{port}/dvc", {"method": "PUT"})


@contextmanager
def s3(place: Path) -> Iterator[Remote]:
    """moto's server, which keeps what it gets in memory."""
    port = _free_port()
    access = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    endpoint = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-P", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _served(command, port, place):
        _run(sys.executable, "-c", BUCKET, endpoint, **access)
        yield Remote("s3://bucket/store", {"endpointurl": endpoint}, access)


BUCKET = "import sys, boto3; boto3.client('s3', endpoint_url=sys.argv[1]).create_bucket(Bucket='bucket')"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _run(*command: str, **environment: str) -> None:
    subprocess.run(command, check=True, env={**os.environ, **environment}, stdin=subprocess.DEVNULL)


@contextmanager
def _served(command: list[str], port: int, place: Path) -> Iterator[None]:
    """Run a server in the foreground until the block ends; ``place/log`` has what it says."""
    with open(place / "log", "wb") as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        ends = time.monotonic() + WAIT
        while True:
            assert server.poll() is None, f"{command[0]} ended: {(place / 'log').read_text()}"
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), WAIT):
                break
            assert time.monotonic() < ends, f"{command[0]} does not answer"
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        server.wait(WAIT)
