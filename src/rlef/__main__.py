"""``python -m rlef`` is the ``rlef`` command."""

from rlef.cli import main

if __name__ == "__main__":
    main()
