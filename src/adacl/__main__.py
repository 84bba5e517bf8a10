"""``python -m adacl``."""

from adacl.cli import main

main()
