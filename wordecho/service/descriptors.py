"""How many descriptors the process may have open, and how many it needs besides those of its connections."""

from __future__ import annotations

from wordecho.settings import MAX_STRANGERS

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# Descriptors that the process needs besides those of its guests: for strangers; and for standard streams, the reactor,
# the ports, the log, and what comes in the turn before somebody is gone who made room for it.
SPARE_DESCRIPTORS = MAX_STRANGERS + 128


def raise_descriptor_limit(wanted: int) -> int:
    """
    Raise the soft limit of open descriptors to ``wanted``, or as far as the hard limit lets it.

    :return: the limit in force, ``wanted`` itself where the platform has none
    """
    if resource is None:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # a platform may have a limit of its own below the hard one
        return soft
    return wanted
