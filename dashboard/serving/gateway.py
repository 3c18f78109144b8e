"""nginx before the processes of one machine: keeps each browser with its dashboard, and sends API calls to the API."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from dashboard.settings import ROOT, SettingsError

CONFIGURATION = ROOT / "deploy" / "nginx" / "nginx.conf"


def nginx_program() -> str:
    """Where nginx is; raises SettingsError where it is not installed."""
    found = shutil.which("nginx", path="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
    if found is None:
        raise SettingsError("nginx: expected the program, found none; install it (Debian: apt-get install nginx-light)")
    return found


def processes_configuration(dashboards: Mapping[str, int], api_port: int) -> str:
    """What nginx must know of the processes: who answers whom, and which cookie keeps a browser with a process.

    A browser without cookie goes to the dashboards in turn; the answer's cookie names the one that answered. Where
    that one is away, the others stand in and the cookie moves on with the browser.

    Args:
        dashboards: port on 127.0.0.1 by the name of the process, at least one.
        api_port: of the API.
    """
    if not dashboards:
        raise ValueError("expected at least one dashboard, received none")
    names = {f"127.0.0.1:{port}": name for name, port in dashboards.items()}
    # One answer that nginx cannot pass on takes nobody's process away: who is away is asked in vain in no time.
    always = {address: f"{address} max_fails=0" for address in names}
    return "\n".join(
        [
            _group("dashboards", list(always.values())),
            *(
                _group(name, [always[address], *(f"{always[other]} backup" for other in names if other != address)])
                for address, name in names.items()
            ),
            _group("api", [f"127.0.0.1:{api_port}"], ["keepalive 32;"]),
            _block(
                "map $cookie_lesionlens_process $group",
                ["default dashboards;", *(f"{name} {name};" for name in dashboards)],
            ),
            # Of several that were tried, the last one answered.
            _block("map $upstream_addr $answered", [f'"~{address}$" {name};' for address, name in names.items()]),
            "",
        ]
    )


def _group(name: str, servers: list[str] | Mapping[str, str], more: list[str] | None = None) -> str:
    return _block(f"upstream {name}", [*(f"server {server};" for server in servers), *(more or [])])


def _block(head: str, lines: list[str]) -> str:
    return "\n".join([f"{head} {{", *(f"    {line}" for line in lines), "}"])


class Gateway:
    """One nginx in the foreground, with its files in a folder of its own."""

    def __init__(self, folder: Path, address: str, port: int) -> None:
        self.folder = folder
        host = f"[{address}]" if ":" in address else address
        # Workers of an nginx that root started are nobody, and pass through this folder.
        folder.chmod(0o711)
        shutil.copyfile(CONFIGURATION, folder / "nginx.conf")
        (folder / "listen.conf").write_text(f"listen {host}:{port} backlog=4096;\n", encoding="utf-8")
        self.url = f"http://{host}:{port}"
        self._program = nginx_program()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def is_written(self) -> bool:
        """Whether it knows whom to send requests to."""
        return (self.folder / "processes.conf").exists()

    def write(self, dashboards: Mapping[str, int], api_port: int) -> None:
        """Write which processes there are; a running nginx takes it up with `reload`."""
        text = processes_configuration(dashboards, api_port)
        (self.folder / "processes.conf").write_text(text, encoding="utf-8")

    def start(self) -> subprocess.Popen[bytes]:
        """Start nginx; `write` comes first."""
        arguments = ["-p", f"{self.folder}/", "-c", str(self.folder / "nginx.conf"), "-e", "stderr"]
        self.process = subprocess.Popen([self._program, *arguments], start_new_session=True)
        return self.process

    def reload(self) -> None:
        """Let new connections go by what was written last; those that are open stay as they are."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGHUP)
