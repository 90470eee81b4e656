"""Reading what was sent: strict JSON, documents written by hand, and fields that are refused with a reason."""
