"""`python -m hjbdsl` is `hjb`."""

from hjbdsl.cli.main import main

if __name__ == "__main__":
    main()
