"""A real nginx with the configuration of deploy/serve, in front of a service."""

import os
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import httpx

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy" / "serve" / "nginx.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
PREFIX = "/recommender"
_OPENSSL = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
_OPENSSL += ["-addext", "subjectAltName=IP:127.0.0.1"]
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Proxy:
    """An nginx on a free port, with a certificate of its own, short times and small limits."""

    def __init__(self, folder: Path, service: int) -> None:
        self.port = _free_port()
        certificate, key = folder / "proxy.crt", folder / "proxy.key"
        subprocess.run(
            [*_OPENSSL, "-keyout", str(key), "-out", str(certificate)],
            check=True,
            capture_output=True,
        )
        text = CONFIGURATION.read_text(encoding="utf-8")
        for before, after in {
            "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
            "/etc/nginx/recommender.crt": str(certificate),
            "/etc/nginx/recommender.key": str(key),
            "server 127.0.0.1:8000": f"server 127.0.0.1:{service}",
            "client_header_timeout 10s": "client_header_timeout 1s",
            "client_body_timeout 5s": "client_body_timeout 1s",
            "rate=100r/s": "rate=10r/s",
            "burst=200": "burst=30",
            "limit_conn connections 100": "limit_conn connections 3",
            "http {": "http {\n" + "".join(f"{each}_temp_path {folder}/{each};\n" for each in _TEMPORARY),
            "worker_processes auto;": f"worker_processes 1;\n{_user()}\npid {folder}/nginx.pid;\ndaemon off;",
        }.items():
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        file = folder / "nginx.conf"
        file.write_text(text, encoding="utf-8")
        self.process = subprocess.Popen([str(NGINX), "-p", str(folder), "-c", str(file)], stderr=subprocess.PIPE)
        address = f"https://127.0.0.1:{self.port}{PREFIX}"
        self.client = httpx.Client(base_url=address, verify=ssl.create_default_context(cafile=certificate), timeout=10)

    def __enter__(self) -> "Proxy":
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        raise AssertionError("nginx does not listen")

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.process.terminate()
        self.process.communicate(timeout=10)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _user() -> str:
    """Return what lets the worker of an nginx that root has started write into folders of root's."""
    return "" if os.getuid() else "user root;"
