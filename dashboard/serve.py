"""Serve many users on one machine: nginx before several dashboards and one API, each restarted when it dies or hangs.

    python -m dashboard.serve --dashboards 2 --address 127.0.0.1 --port 8501

SIGHUP replaces the processes one by one: a new one answers before the old one ends, which finishes what it runs; what
was saved is in the case log, which all of them share. Open pages connect again. SIGTERM ends all within two seconds.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dashboard.serving import options
from dashboard.serving.gateway import Gateway, nginx_program
from dashboard.serving.logs import configure_logging
from dashboard.serving.supervisor import Supervisor, _log, is_free, raise_descriptor_limit, services, supervise
from dashboard.settings import SettingsError, check_address, settings
from model.server.settings import ServerSettingsError, server_settings
from model.server.settings import check_address as check_api_address


def check(address: str, port: int) -> None:
    """Whether this machine may and can serve there; raises SettingsError or ServerSettingsError.

    The processes themselves listen on 127.0.0.1, where they would let everyone in: it is asked here instead.
    """
    check_address(settings(), address)
    check_api_address(server_settings(), address)
    nginx_program()
    if not is_free(address, port):
        raise SettingsError(f"expected a free port to listen on, received {address}:{port}; set another by --port")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal ends it; exit code 2 and a message where the settings do not allow it."""
    parser = argparse.ArgumentParser(
        prog="python -m dashboard.serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dashboards", type=int, default=os.cpu_count() or 1, help="processes; default: one a core")
    parser.add_argument("--address", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--port", type=int, help="where to listen (default: PORT, or 8501)")
    given = parser.parse_args(argv)
    if given.dashboards < 1:
        parser.error(f"expected at least one dashboard, received {given.dashboards}")
    try:
        port = given.port or settings().port
        check(given.address, port)
    except (SettingsError, ServerSettingsError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    configure_logging(settings())
    options.state()  # the processes may answer below a base path
    _log.info("process %d; up to %d open files each", os.getpid(), raise_descriptor_limit())
    with tempfile.TemporaryDirectory(prefix="lesionlens-") as folder:
        supervise(Supervisor(services(given.dashboards), Gateway(Path(folder), given.address, port)))
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stderr.flush()
    # Nothing is left to do, and to take Streamlit's modules apart one by one would last longer than all the rest.
    os._exit(code)
