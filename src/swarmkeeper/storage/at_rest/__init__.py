"""Encrypts bodies at the edge of a store, and keeps secrets of the store elsewhere."""
