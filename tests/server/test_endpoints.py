"""What is promised of the descriptions of what the server can listen on."""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.furniture.kinds import tls_ends
from wordecho.server.endpoints import endpoint_from_string


class DescriptionTests(SynchronousTestCase):
    def refusal(self, description: str, tls: Any = None) -> str:
        return str(self.assertRaises(ValueError, endpoint_from_string, MemoryReactorClock(), description, tls))

    def test_a_wrapped_endpoint_that_does_not_parse_is_refused_as_it_would_be_alone(self) -> None:
        for description in ("tcp:x", "haproxy:tcp:x", "haproxy:haproxy:tcp:x"):
            self.refusal(description)

    def test_a_header_of_the_proxy_protocol_within_tls_is_refused(self) -> None:
        for description in ("haproxy:tls:tcp:0", "haproxy:ssl:0:privateKey=/nosuch.pem"):
            self.assertEqual(
                self.refusal(description, tls_ends()[0]),
                "a proxy sends its header before TLS begins; write tls:haproxy:tcp:PORT",
            )

    def test_the_folder_of_twisteds_own_tls_endpoints_is_refused_with_what_to_write_instead(self) -> None:
        for folder in ("/etc/certificates", ".", "certificates", "path=/etc/certificates", ""):
            for tls in (None, tls_ends()[0]):
                self.assertEqual(
                    self.refusal(f"tls:{folder}:443", tls),
                    f"{folder!r} is no endpoint; Twisted's own tls: takes a folder of certificates, this one an "
                    "endpoint: write tls:tcp:PORT, and name the certificate with --cert",
                )

    def test_tls_may_stand_before_each_kind_of_endpoint(self) -> None:
        for description in ("tcp:0", "tcp6:0", "unix:/run/wordecho.sock", "haproxy:tcp:0"):
            endpoint_from_string(MemoryReactorClock(), f"tls:{description}", tls_ends()[0])
