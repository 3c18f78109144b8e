"""Serve the API over HTTP; `model.server.app` tells what it answers.

    python -m model.server                                   # http://127.0.0.1:8080, for this machine only
    API_TOKENS=$(openssl rand -hex 16) python -m model.server --address 0.0.0.0
    python -m model.server serve                             # in a SageMaker container

Settings are environment variables, see `model.server.settings`.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Sequence

from model.connections import ListeningSocket, TimedConnection, listening_socket
from model.server.app import create_app
from model.server.request_log import configure_logging
from model.server.settings import ServerSettingsError, check_address, server_settings

# A running request takes tenths of a second; whoever orchestrates containers waits for no more than a few.
SHUTDOWN_SECONDS = 2
# Longer than the idle timeout of any load balancer in front (ours: 300 s), which else meets closed connections.
KEEP_ALIVE_SECONDS = 305
BACKLOG = 2048  # connections that the kernel holds until they are accepted, Uvicorn's own number


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", choices=["serve"], help="as SageMaker starts its containers")
    parser.add_argument("--address", default="127.0.0.1", help="address to listen on; default: this machine only")
    parser.add_argument("--port", type=int, help="port to listen on; default: PORT, or 8080")
    parser.add_argument("--proxy", action="append", default=[], help="address of a proxy, beside those of API_PROXIES")
    arguments = parser.parse_args(argv)
    # Here, since Lambda brings a server of its own.
    import uvicorn

    try:
        settings = server_settings()
        settings = settings.model_copy(update={"proxies": (*settings.proxies, *arguments.proxy)})
        is_sagemaker = arguments.mode == "serve"
        address = "0.0.0.0" if is_sagemaker else arguments.address
        if not (is_sagemaker or settings.vertex_predict_route):
            check_address(settings, address)
    except ServerSettingsError as error:
        print(f"model.server: {error}", file=sys.stderr)
        return 2
    port = arguments.port or settings.vertex_port or settings.port
    configure_logging(settings.has_cloudwatch_metrics)
    # While the model loads, and after Uvicorn has finished what ran and repeats the signal, which without this would
    # make a clean end look like a crash.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    app = create_app(settings, is_sagemaker)
    config = uvicorn.Config(
        app,
        http=TimedConnection,
        log_config=None,
        access_log=False,
        server_header=False,
        # Otherwise Uvicorn believes whoever runs on this machine, or a variable of its own.
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    try:
        bound = _bound(address, port)
        if bound is None:
            return 2
        with contextlib.suppress(KeyboardInterrupt):  # after an end in order
            uvicorn.Server(config).run(sockets=[bound])
    finally:
        app.state.service.close()
    return 0


def _bound(address: str, port: int) -> ListeningSocket | None:
    """None, and a line that says why, where one cannot listen there."""
    try:
        return listening_socket(address, port, BACKLOG)
    except OSError as error:
        print(f"model.server: expected to listen on {address}:{port}, received {error.strerror}", file=sys.stderr)
        return None


if __name__ == "__main__":
    sys.exit(main())
