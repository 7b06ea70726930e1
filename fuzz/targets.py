# ruff: noqa: INP001, PLC0415 - a folder of programs; each target imports what it tries, and nothing else
"""What is fuzzed: every reader of bytes that a stranger chose, each as a function that may only raise our errors.

A target is made by importing what it tries, so that the fuzzer sees those modules and no others. Bytes that a reader
accepts are taken further where that costs nothing: a list is asked for what it revokes, a policy is explained.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

Reader = Callable[[bytes], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """``longest``: bytes of the longest input; readers of long things have limits of their own above it."""

    make: Callable[[], Reader]
    longest: int = 8192


def quote() -> Reader:
    """DCAP quotes of every version and body."""
    from sealroom.tees._dcap.quote import read_quote

    return read_quote


def signed_json() -> Reader:
    """Intel's signed documents: the outer object, and what is inside it, whether or not the signature would hold."""
    from sealroom.tees._dcap.qe_identity import read_qe_identity
    from sealroom.tees._dcap.signed_json import signed_body
    from sealroom.tees._dcap.tcb_info import read_tcb_info

    def read(raw: bytes) -> object:
        if raw[:1] == b"\0":
            return read_qe_identity(raw[1:])
        if raw[:1] == b"\1":
            return read_tcb_info(raw[1:])
        member = "enclaveIdentity" if b"enclaveIdentity" in raw else "tcbInfo"
        return signed_body(raw, member, area="fuzz")

    return read


def pck_extension() -> Reader:
    """A certificate, and in it the identity of an Intel platform."""
    from sealroom.tees._dcap.pck import read_pck_identity
    from sealroom.x509_reader import read_certificate

    def read(raw: bytes) -> object:
        certificate = read_certificate(raw)
        return read_pck_identity(certificate, replace(certificate, subject=certificate.issuer))

    return read


def snp_report() -> Reader:
    """SNP attestation reports."""
    from sealroom.tees import snp

    return snp.parse


def certificate_table() -> Reader:
    """The certificate table that a hypervisor hands to an SNP guest."""
    from sealroom.tees.snp.certificate_table import read_certificate_table

    return read_certificate_table


def certificate() -> Reader:
    """Certificates, DER or PEM, and the extensions that a chain is judged by."""
    from sealroom.x509_chain import public_key
    from sealroom.x509_reader import read_certificates

    def read(raw: bytes) -> object:
        return [public_key(one) for one in read_certificates(raw)]

    return read


def revocation_list() -> Reader:
    """Revocation lists in DER, PEM or hexadecimal, and every entry."""
    from sealroom.tees._dcap.collateral import crl_bytes
    from sealroom.x509_reader import read_crl

    def read(raw: bytes) -> object:
        return read_crl(crl_bytes(raw)).revoked

    return read


def pem() -> Reader:
    """PEM text."""
    from sealroom.pem import read_pem

    def read(raw: bytes) -> object:
        return read_pem(raw, "CERTIFICATE")

    return read


def evidence_bundle() -> Reader:
    """The bundle that a room shows: CBOR, and what it holds."""
    from sealroom.collateral.bundle import parse_bundle

    return parse_bundle


def statement() -> Reader:
    """The statement inside a bundle."""
    from sealroom.statement import parse_statement

    return parse_statement


def policy() -> Reader:
    """Policy documents."""
    from sealroom.policy.load import load_policy

    def read(raw: bytes) -> object:
        return load_policy(raw, source="fuzz")

    return read


TARGETS = {
    "quote": Target(make=quote),
    "signed-json": Target(make=signed_json),
    "pck-extension": Target(make=pck_extension, longest=4096),
    "snp-report": Target(make=snp_report, longest=1300),
    "certificate-table": Target(make=certificate_table, longest=4096),
    "certificate": Target(make=certificate, longest=4096),
    "revocation-list": Target(make=revocation_list, longest=4096),
    "pem": Target(make=pem, longest=4096),
    "evidence-bundle": Target(make=evidence_bundle, longest=4096),
    "statement": Target(make=statement, longest=4096),
    "policy": Target(make=policy, longest=4096),
}
"""Every target under the name of its corpus."""
