"""The contract, octets in and octets out: what is said on the wire, and what is answered. No input or output."""

from wordecho.wire.replies import (
    IDLE_TIMEOUT,
    NOT_UTF_8,
    REPLY_TOO_LONG,
    TOO_LONG,
    TOO_MANY_CONNECTIONS,
    Refusal,
    Reply,
    decode,
    encode,
    idle_timeout,
    not_utf_8,
    reply_too_long,
    too_long,
    too_many_connections,
)

__all__ = [
    "IDLE_TIMEOUT",
    "NOT_UTF_8",
    "REPLY_TOO_LONG",
    "TOO_LONG",
    "TOO_MANY_CONNECTIONS",
    "Refusal",
    "Reply",
    "decode",
    "encode",
    "idle_timeout",
    "not_utf_8",
    "reply_too_long",
    "too_long",
    "too_many_connections",
]
