"""The routers of the API, one for each noun; those of hot paths are in hot.py beside this folder."""
