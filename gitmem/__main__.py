"""`python -m gitmem`: the command, also where no script of that name is on the path."""

from gitmem.facade.cli import main

if __name__ == "__main__":
    main()
