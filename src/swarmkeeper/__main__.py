"""`python -m swarmkeeper` is `swarmkeeper`. Where only swarmkeeper-sdk is installed, it says what the command needs."""

import sys


def main() -> None:
    try:
        from swarmkeeper.cli.main import main as command
    except ModuleNotFoundError as error:
        if error.name != "swarmkeeper.cli":
            raise
        sys.exit(f"swarmkeeper: {error}")
    command()


if __name__ == "__main__":
    main()
