"""The secrets broker: keeps secrets or fetches them from back ends, and releases them to bots under a lease."""
