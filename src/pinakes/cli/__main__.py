"""`python -m pinakes.cli` is `pinakes`."""

from pinakes.cli import main

if __name__ == "__main__":  # a worker imports this module again, and is not to run it
    main()
