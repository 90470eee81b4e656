"""Routes of the kill switch."""
