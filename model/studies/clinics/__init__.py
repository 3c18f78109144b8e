"""A labelled folder of a clinic: read, asked about, measured beside the locked test, recalibrated on."""
