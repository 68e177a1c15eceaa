"""How many descriptors the process may have open."""

from __future__ import annotations

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


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
