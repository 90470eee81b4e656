"""Says whether this process is a child that is importing its bot for one attempt (isolated.py).

Imports nothing, so that every module may import it.
"""

importing = False


class NotTheSame(Exception):
    """The bot made in the child differs from its parent's."""


def refuse_to_serve() -> None:
    """Keep a file that runs its bot from doing so in each child.

    Raises:
        RuntimeError: a child is importing the file.
    """
    if importing:
        raise RuntimeError(
            'the bot\'s file serves it whenever it is imported: put that under `if __name__ == "__main__":`'
        )
