"""Made-up dermoscopic images: samples for whoever has no patient's image at hand, and inputs for tests."""
