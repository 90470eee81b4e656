"""Whether this process is a child that imports its bot for one attempt (isolated.py), and what must not be done then.
Imports nothing, so that everything may ask.
"""

importing = False


class NotTheSame(Exception):
    """The bot that was made here differs from the one that its parent has."""


def refuse_to_serve() -> None:
    """Keep a file that serves its bot from doing so in each child.

    Raises:
        RuntimeError: it is imported by one.
    """
    if importing:
        raise RuntimeError(
            'the bot\'s file serves it whenever it is imported: put that under `if __name__ == "__main__":`'
        )
