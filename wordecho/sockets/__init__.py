"""What a socket should do that Twisted's does not. Nothing here knows of messages and replies."""
