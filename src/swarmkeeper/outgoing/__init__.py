"""The outgoing stream: every event of the feed is published to another program's stream, in order, at least once."""
