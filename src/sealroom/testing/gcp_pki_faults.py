"""One fault each in the certificates that tokens of Confidential Space bring, and in the header that holds them."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sealroom.testing import der
from sealroom.testing.gcp_cases import AT, GcpCase
from sealroom.testing.gcp_space import SpaceAuthority, listed
from sealroom.testing.gcp_space_cases import SpaceBench
from sealroom.testing.pki import authority, mint_certificate
from sealroom.testing.tokens import base64url

__all__ = ["certificate_faults"]

_TOKEN, _SIGNATURE, _KEY = "gcp.token", "gcp.token-signature", "gcp.token-key"
_ROOT, _ALGORITHM = "x509.untrusted-root", "gcp.token-algorithm"


def certificate_faults(bench: SpaceBench) -> Iterator[GcpCase]:
    """Every fault."""
    yield from _chains(bench)
    yield from _headers(bench)


def _chains(bench: SpaceBench) -> Iterator[GcpCase]:
    """Of the certificates that a token brings."""
    above, key, stranger = bench.above, bench.space.signer.key.public_key(), SpaceAuthority.create()
    leaf, ca, root = above.chain(key)
    form = above.form(key)
    false_leaf, false_ca, false_root = stranger.chain(key)
    yield bench.certified("of a stranger's root", _ROOT, chain=(false_leaf, false_ca, false_root))
    yield bench.certified("of a stranger's root beside it", _ROOT, chain=(false_leaf, false_ca),
                          items={"token_root": false_root})  # fmt: skip
    yield bench.certified("of a stranger's CA under the right root", "x509.signature",
                          chain=(false_leaf, false_ca, root))  # fmt: skip
    yield bench.certified("without its root", _ROOT, chain=(leaf, ca))
    yield bench.certified("without its CA", "x509.issuer-name", chain=(leaf, root))
    yield bench.certified("root first", _ROOT, chain=(root, ca, leaf))
    yield bench.certified("with one certificate", "x509.chain-length", chain=(leaf,))
    yield bench.certified("with the root alone", "x509.chain-length", chain=(root,))
    alone = mint_certificate(form, authority(form.subject, ec.generate_private_key(ec.SECP256R1()), serial=1))
    yield bench.certified("by its own word", "x509.chain-length", chain=(alone,))
    a_ca = replace(form, extensions=(("2.5.29.19", True, der.sequence(der.boolean(True))),))
    yield bench.certified("of a CA that signs itself", "x509.not-an-end-entity",
                          chain=(mint_certificate(a_ca, above.root), root))  # fmt: skip
    usage = replace(form, extensions=(*form.extensions, ("2.5.29.15", True, der.named_bits(2))))
    yield bench.certified("of a key that is for encryption", "x509.not-an-end-entity",
                          chain=(mint_certificate(usage, above.ca), ca, root))  # fmt: skip
    lower = authority("Lower", ec.generate_private_key(ec.SECP256R1()), serial=5, issuer=above.ca)
    yield bench.certified("of one CA too many", "x509.path-length",
                          chain=(mint_certificate(form, lower), lower.certificate, ca, root))  # fmt: skip
    of_curve = above.chain(ec.generate_private_key(ec.SECP256R1()).public_key())
    yield bench.certified("of a key that is no RSA key", _KEY, chain=of_curve)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    yield bench.certified("of another key", _SIGNATURE, chain=above.chain(other))
    changed = leaf[:-1] + bytes((leaf[-1] ^ 1,))
    yield bench.certified("that were changed", "x509.signature", chain=(changed, ca, root))
    late = datetime(2050, 1, 1, tzinfo=UTC)
    yield bench.certified("that have run out", "x509.expired", at=late, exp=late.timestamp() + 60)
    yield bench.certified("before their time", "x509.not-yet-valid", at=datetime(2024, 1, 1, tzinfo=UTC))


def _headers(bench: SpaceBench) -> Iterator[GcpCase]:
    """Of how the certificates stand there, and of the token around them."""
    chain = bench.above.chain(bench.space.signer.key.public_key())
    for name, value in {"no certificates": [], "a text": "MII", "a number": [1], "null": None, "six": ["MII"] * 6,
                        "no base64": ["***"], "base64 of the URL alphabet": ["-_8="]}.items():  # fmt: skip
        yield bench.certified(f"with {name} in its header", _TOKEN, header={"x5c": value})
    yield bench.certified("with no certificate in its header", "x509.der", header={"x5c": ["AAAA"]})
    yield bench.certified("of another algorithm", _ALGORITHM, header={"alg": "RS384"})
    yield bench.certified("of another issuer", "gcp.issuer", iss="https://evil.example")
    yield bench.certified("that has run out", "gcp.token-expired", at=AT + timedelta(hours=1))
    honest = bench.certified("x").raw
    head, body, signature = honest.split(b".")
    plain = bench.token().split(b".")[2]
    yield bench.certified("with the signature of another header", _SIGNATURE, raw=b".".join((head, body, plain)))
    taken = json.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4))) | {"x5c": listed(*chain[::-1])}
    turned = base64url(json.dumps(taken).encode()).encode()
    yield bench.certified("whose header was turned", _ROOT, raw=b".".join((turned, body, signature)))
