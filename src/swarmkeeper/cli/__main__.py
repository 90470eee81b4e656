"""`python -m swarmkeeper.cli` is `swarmkeeper`."""

from swarmkeeper.cli.main import main

if __name__ == "__main__":
    main()
