"""What every test of the dashboard shares."""

from tests.support.dashboard import packages_scanned_once, steps_draw_the_whole_page

__all__ = ["packages_scanned_once", "steps_draw_the_whole_page"]
