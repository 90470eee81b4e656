"""Erasure of a task because somebody asks for it, however long it was to be kept."""
