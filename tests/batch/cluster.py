"""A store that speaks S3, and a Dask cluster: real servers, each a process that can be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import fsspec

_WAIT_S = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    """Wait until something listens on *port*."""
    end = time.monotonic() + _WAIT_S
    while time.monotonic() < end:
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


class Servers:
    """Processes that are ended together; what they print goes to *log*."""

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self.environment = {**os.environ, **environment}
        self._log = log.open("ab")
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, *command], env=self.environment, stdout=self._log, stderr=self._log
        )
        self.running.append(process)
        return process

    def close(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()
        self._log.close()


class Store(Servers):
    """Moto's S3 server with one bucket, reached by ``s3://models`` in :attr:`environment`."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.variables = {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        super().__init__(log, self.variables)
        self.start("-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port))
        wait_for_port(self.port)
        self.system = fsspec.filesystem(
            "s3", key="testing", secret="testing", use_listings_cache=False,
            client_kwargs={"endpoint_url": self.variables["AWS_ENDPOINT_URL_S3"],
                           "region_name": "us-east-1"},
        )  # fmt: skip
        self.system.call_s3("create_bucket", Bucket="models")

    def content(self, folder: str) -> dict[str, bytes]:
        """Return the files below ``s3://models/FOLDER`` by their names there."""
        base = f"models/{folder}"
        found: dict[str, bytes] = {}
        for name in self.system.find(base):
            found[name.removeprefix(f"{base}/")] = self.system.cat_file(name)
        return found


class Cluster(Servers):
    """A Dask scheduler at :attr:`address` and *count* workers."""

    def __init__(self, log: Path, environment: Mapping[str, str], count: int) -> None:
        super().__init__(log, environment)
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._count = count
        self.begin()

    def begin(self) -> None:
        """Start the scheduler, and as many workers as there shall be."""
        self.scheduler = self.start(
            "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", str(self.port),
            "--no-dashboard",
        )  # fmt: skip
        wait_for_port(self.port)
        self.workers = [
            self.start(
                "-m", "dask", "worker", self.address, "--nthreads", "1", "--no-nanny",
                "--no-dashboard",
            )
            for _ in range(self._count)
        ]  # fmt: skip

    def restart(self) -> None:
        """Kill the scheduler; its workers end by themselves, and others are started with it."""
        self.scheduler.send_signal(signal.SIGKILL)
        self.scheduler.wait()
        for worker in self.workers:
            worker.kill()
        self.begin()
