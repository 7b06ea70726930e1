"""``python -m sealroom`` is the command line."""

from sealroom.cli.main import main

main()
