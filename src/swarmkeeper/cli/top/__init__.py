"""`swarmkeeper top`: inbox, tasks and task in the terminal, with the keys and the query line of the dashboard.

It needs Textual, which only the extra `top` installs; nothing but command.py is loaded without it.
"""
