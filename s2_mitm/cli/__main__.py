"""``python -m s2_mitm.cli``."""

from s2_mitm.cli import main

main()
