"""`python -m videocolor`."""

from videocolor.cli import main

if __name__ == "__main__":
    main()
