"""What every test of the dashboard shares."""

from tests.support.dashboard import packages_scanned_once

__all__ = ["packages_scanned_once"]
