"""``python -m wordecho.client``."""

from wordecho.client.command import main

main()
