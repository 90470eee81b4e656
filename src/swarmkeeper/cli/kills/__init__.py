"""Commands of the kill switch."""
