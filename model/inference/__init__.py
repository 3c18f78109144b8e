"""A trained artifact and its answers: loading, runtimes, calibration, prediction sets."""
