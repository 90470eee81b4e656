"""The kinds of sinks: one module for each way of sending."""
