"""``python -m anyjob``: the command line."""

from anyjob.cli import main

if __name__ == "__main__":
    main()
