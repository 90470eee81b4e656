"""Scenario files, and what rehearsals report: figures, calibration from a recording, and back-tests."""
