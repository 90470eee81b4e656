"""Sample bots, each one file and each a runnable example. review.py lists them; files.py and file_bot.py are shared."""
