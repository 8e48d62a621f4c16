"""`python -m tidelake` is the command line."""

from tidelake.cli import main

if __name__ == "__main__":
    main()
