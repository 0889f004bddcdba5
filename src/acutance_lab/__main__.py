"""`python -m acutance_lab`."""

from acutance_lab.cli import main

if __name__ == "__main__":
    main()
