"""Where the lines of the dashboard and of the supervisor go, and how they look; the settings choose."""

from __future__ import annotations

import logging
import re

from streamlit import logger as streamlit_logger
from uvicorn.config import LOGGING_CONFIG

from dashboard.settings import Settings
from model.analysis.log_lines import JsonFormatter, TextFormatter, log_to_stdout

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Streamlit's options for a log of JSON lines alone: its welcome and its coloured traces are none.
JSON_OPTIONS = {"logger.hideWelcomeMessage": True, "logger.enableRich": False}


class PrintableRecord(logging.LogRecord):
    """A line in which nothing moves a terminal's cursor or begins another line, whatever a request put into it."""

    def getMessage(self) -> str:
        return _CONTROL.sub(lambda found: repr(found[0])[1:-1], super().getMessage())


def configure_logging(settings: Settings) -> None:
    """Send the log to standard output as the settings say; as JSON, the lines of Streamlit and Uvicorn with it."""
    logging.setLogRecordFactory(PrintableRecord)
    log_to_stdout(JsonFormatter(settings.cloudwatch_metrics) if settings.json_logs else TextFormatter())
    logging.getLogger("alembic").setLevel(logging.WARNING)  # a dozen lines on itself at every start
    if settings.json_logs:
        logging.captureWarnings(True)
        _gather_servers_lines()


def _gather_servers_lines() -> None:
    # Streamlit gives every logger a handler of its own, also those of modules that it loads later, and does so again
    # whenever it has read its options. It has no option for another formatter.
    streamlit_logger.setup_formatter = _leave_to_root
    streamlit_logger.update_formatter()
    # Uvicorn would give its loggers handlers as it starts.
    LOGGING_CONFIG["loggers"].clear()


def _leave_to_root(logger: logging.Logger) -> None:
    logger.handlers.clear()
    logger.propagate = True
    if logger.name.startswith("uvicorn"):
        # Below, its lines hold the address and the query of whoever connects.
        logger.setLevel(logging.WARNING)
