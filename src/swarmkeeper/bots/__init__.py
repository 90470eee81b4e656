"""Sample bots, one file each, runnable as examples. review.py lists them; files.py and file_bot.py are shared."""
