"""Erasure because somebody asks for it: of a task, however long it was to be kept, or of a tenant by its data keys."""
