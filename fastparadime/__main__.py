"""`python -m fastparadime`: the command of that name."""

from fastparadime.cli import main

if __name__ == "__main__":
    main()
