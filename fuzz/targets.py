# ruff: noqa: INP001, PLC0415 - a folder of programs; each target imports what it tries, and nothing else
"""What is fuzzed: every reader of bytes that a stranger chose, each as a function that may only raise our errors.

A target is made by importing what it tries, so that the fuzzer sees those modules and no others. Bytes that a reader
accepts are taken further where that costs nothing: a list is asked for what it revokes, a policy is explained.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

_EIF_HEAD = 548
"""Bytes of an enclave image's header; the last four are the checksum over all the rest."""

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


def event_log() -> Reader:
    """Measurement logs in TCG2 form, named and replayed: those of a TD, and after a zero byte those of a TPM."""
    from sealroom.measure.replay import replay_rtmrs
    from sealroom.measure.tpm_replay import replay_pcrs

    def read(raw: bytes) -> object:
        return replay_pcrs(raw[1:]) if raw[:1] == b"\0" else replay_rtmrs(raw[1:])

    return read


def dstack_log() -> Reader:
    """Event logs of dstack, in JSON."""
    from sealroom.measure.dstack import replay_dstack

    return replay_dstack


def ima_list() -> Reader:
    """Runtime measurement lists of Linux's IMA."""
    from sealroom.measure.ima import read_ima

    return read_ima


def ccel_table() -> Reader:
    """The ACPI table that says where a TD's log lies."""
    from sealroom.measure.ccel import read_ccel_table

    return read_ccel_table


def enclave_signature() -> Reader:
    """SIGSTRUCT, with its signature."""
    from sealroom.measure.sigstruct import read_sigstruct

    return read_sigstruct


def enclave_image() -> Reader:
    """Nitro's enclave images, with the checksum made right, as anybody can; after a zero byte a signature section."""
    from sealroom.measure.eif import measure_eif
    from sealroom.measure.eif_signature import read_signatures

    def read(raw: bytes) -> object:
        if raw[:1] == b"\0":
            return read_signatures(raw[1:])
        checksum = zlib.crc32(raw[_EIF_HEAD:], zlib.crc32(raw[: _EIF_HEAD - 4]))
        return measure_eif(raw[: _EIF_HEAD - 4] + checksum.to_bytes(4, "big") + raw[_EIF_HEAD:])

    return read


def pe_image() -> Reader:
    """PE images as Authenticode hashes them."""
    from sealroom.measure.authenticode import authenticode

    return authenticode


def firmware() -> Reader:
    """Firmware images with the metadata of TDX, as far as they are read; measuring one is work by its own words."""
    from sealroom.measure.tdvf import read_tdvf

    def read(raw: bytes) -> object:
        image = read_tdvf(raw)
        return [image.only(section.type) for section in image.sections]

    return read


def nvidia_report() -> Reader:
    """Reports of GPUs and NVLink switches."""
    from sealroom.tees import nvidia

    return nvidia.parse


def reference_values() -> Reader:
    """NVIDIA's reference values: XML, its canonical form, the signature's shape, and the values."""
    from sealroom.tees.nvidia.rim import read_rim
    from sealroom.tees.nvidia.rim_signature import read_signature, reference_holds
    from sealroom.tees.nvidia.xml_tree import read_xml

    def read(raw: bytes) -> object:
        root = read_xml(raw)
        reference_holds(root, read_signature(root))
        return read_rim(raw)

    return read


def ocsp_answer() -> Reader:
    """Answers of OCSP responders."""
    from sealroom.tees.nvidia.ocsp import answers_for
    from sealroom.x509_reader import Certificate

    # all that is asked of it here is its number
    certificate = Certificate.__new__(Certificate)
    object.__setattr__(certificate, "serial", 1)

    def read(raw: bytes) -> object:
        return answers_for(raw, certificate)

    return read


def stapled_answers() -> Reader:
    """The CBOR list of such answers that comes with a device."""
    from sealroom.evidence import Collateral
    from sealroom.tees.nvidia.revocation import stapled_answers as read_stapled

    def read(raw: bytes) -> object:
        return read_stapled(Collateral(items={"ocsp": raw}))

    return read


def kms_envelope() -> Reader:
    """Envelopes of AWS KMS: BER, and the structure in it."""
    from sealroom.clouds.aws_envelope import parse_envelope

    return parse_envelope


def nitro_document() -> Reader:
    """Attestation documents of Nitro enclaves and NitroTPM."""
    from sealroom.tees import nitro

    return nitro.parse


def cca_token() -> Reader:
    """Tokens of Arm's CCA and PSA."""
    from sealroom.tees import cca

    return cca.parse


def cose_key() -> Reader:
    """Public keys as COSE_Key, JWK or PEM."""
    from sealroom.tees._cose.key import read_key

    def read(raw: bytes) -> object:
        return read_key(raw, area="fuzz")

    return read


def cbor() -> Reader:
    """CBOR of any kind; what is read can be written, and is then read as the same."""
    from sealroom.cbor import encode_cbor, read_cbor

    def read(raw: bytes) -> object:
        written = encode_cbor(read_cbor(raw))
        again = encode_cbor(read_cbor(written))
        if again != written:
            raise AssertionError(f"written as {written.hex()}, and then as {again.hex()}")
        return written

    return read


def web_token() -> Reader:
    """JSON web tokens."""
    from sealroom.jose import parse_jwt

    def read(raw: bytes) -> object:
        return parse_jwt(raw, area="fuzz")

    return read


def web_keys() -> Reader:
    """Sets of JSON web keys."""
    from sealroom.jose import read_jwks

    def read(raw: bytes) -> object:
        return read_jwks(raw, area="fuzz")

    return read


def tpm_structure() -> Reader:
    """What TPMs write: after a zero byte a public key, after a one a signature, after a two a quote."""
    from sealroom.tees._tpm.attest import read_attest, read_signature
    from sealroom.tees._tpm.public import read_public

    readers: tuple[Reader, ...] = (read_public, read_signature, read_attest)

    def read(raw: bytes) -> object:
        return readers[raw[0] % 3](raw[1:]) if raw else read_attest(raw)

    return read


def tpm_evidence() -> Reader:
    """Evidence of a machine that has nothing but a TPM."""
    from sealroom.tees import tpm

    return tpm.parse


def azure_evidence() -> Reader:
    """Evidence of Azure's guests, of every age."""
    from sealroom.tees import azure_vtpm

    return azure_vtpm.parse


def azure_report() -> Reader:
    """The paravisor's report, and the runtime data that is in it."""
    from sealroom.tees.azure_vtpm.hcl import read_hcl
    from sealroom.tees.azure_vtpm.runtime_data import read_runtime_data

    def read(raw: bytes) -> object:
        return read_runtime_data(read_hcl(raw).runtime_data)

    return read


def gcp_attestation() -> Reader:
    """Attestations of Google's VMs, and the hardware's report in them."""
    from sealroom.tees import gcp

    return gcp.parse


def token_claims() -> Reader:
    """What a verified token of Google's service says; after a zero byte, one of Azure's."""
    import base64
    from datetime import UTC, datetime

    from sealroom.evidence import VERIFIED, Validity
    from sealroom.tees import azure_vtpm, gcp

    validity = Validity(not_before=datetime(2026, 1, 1, tzinfo=UTC), not_after=datetime(2027, 1, 1, tzinfo=UTC))

    def read(raw: bytes) -> object:
        said = raw[1:] if raw[:1] == b"\0" else raw
        token = b"eyJhbGciOiJSUzI1NiJ9." + base64.urlsafe_b64encode(said).rstrip(b"=") + b".AA"
        if raw[:1] == b"\0":
            maa = azure_vtpm.VerifiedMaa(evidence=azure_vtpm.parse(token), root=bytes(32), simulated=True,
                                         validity=validity, warrant=VERIFIED)  # fmt: skip
            return azure_vtpm.claims(maa)
        space = gcp.VerifiedSpace(evidence=gcp.parse(token), root=bytes(32), simulated=True, validity=validity,
                                  warrant=VERIFIED)  # fmt: skip
        return gcp.claims(space)

    return read


def nras_answer() -> Reader:
    """Answers of NVIDIA's service; after a zero byte, what one of its tokens says of a device."""
    from sealroom.jose import read_json
    from sealroom.tees.nvidia.detached_eat import read_detached_eat
    from sealroom.tees.nvidia.nras_device import read_device

    def read(raw: bytes) -> object:
        if raw[:1] != b"\0":
            return read_detached_eat(raw)
        claims = read_json(raw[1:], area="fuzz")
        return read_device("SWITCH-0" if b"switch" in raw else "GPU-0", claims if isinstance(claims, dict) else {})

    return read


def device_evidence() -> Reader:
    """Evidence of devices beside a CPU's, as brokers get it; after a zero byte, as NVIDIA's tools write it."""
    from sealroom.kbs.device_evidence import parse_device_evidence
    from sealroom.tees.nvidia.envelope import read_envelope

    def read(raw: bytes) -> object:
        return read_envelope(raw[1:]) if raw[:1] == b"\0" else parse_device_evidence(raw.decode("utf-8", "replace"))

    return read


def attestation_result() -> Reader:
    """Claims of attestation results, in JSON and CBOR."""
    from sealroom.ear import read_claims_cbor, read_claims_json

    def read(raw: bytes) -> object:
        ear = read_claims_json(raw) if raw[:1] < b"\x80" else read_claims_cbor(raw, strict=False)
        return ear.status

    return read


def message_wrapper() -> Reader:
    """Conceptual message wrappers in every form."""
    from sealroom.collateral.cmw import read_cmw

    return read_cmw


def reference_file() -> Reader:
    """Files of values that others sign, and what a publisher writes before."""
    from datetime import UTC, datetime

    from sealroom.policy.references.read import read_reference_file
    from sealroom.policy.references.source import payload_from

    def read(raw: bytes) -> object:
        if raw[:1] == b"{" and b"payload" in raw:
            return read_reference_file(raw)
        return payload_from(raw, issued_at=datetime(2026, 1, 1, tzinfo=UTC))

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
    "event-log": Target(make=event_log, longest=4096),
    "dstack-log": Target(make=dstack_log, longest=4096),
    "ima-list": Target(make=ima_list, longest=2048),
    "ccel-table": Target(make=ccel_table, longest=256),
    "enclave-signature": Target(make=enclave_signature, longest=2048),
    "enclave-image": Target(make=enclave_image, longest=4096),
    "pe-image": Target(make=pe_image, longest=2048),
    "firmware": Target(make=firmware),
    "nvidia-report": Target(make=nvidia_report),
    "reference-values": Target(make=reference_values, longest=6144),
    "ocsp-answer": Target(make=ocsp_answer, longest=2048),
    "stapled-answers": Target(make=stapled_answers, longest=2048),
    "nitro-document": Target(make=nitro_document),
    "kms-envelope": Target(make=kms_envelope, longest=1024),
    "cca-token": Target(make=cca_token, longest=4096),
    "cose-key": Target(make=cose_key, longest=1024),
    "cbor": Target(make=cbor, longest=1024),
    "web-token": Target(make=web_token, longest=4096),
    "web-keys": Target(make=web_keys, longest=4096),
    "tpm-structure": Target(make=tpm_structure, longest=1024),
    "tpm-evidence": Target(make=tpm_evidence, longest=4096),
    "azure-evidence": Target(make=azure_evidence),
    "azure-report": Target(make=azure_report, longest=4096),
    "gcp-attestation": Target(make=gcp_attestation, longest=4096),
    "token-claims": Target(make=token_claims, longest=2048),
    "nras-answer": Target(make=nras_answer, longest=6144),
    "device-evidence": Target(make=device_evidence),
    "attestation-result": Target(make=attestation_result, longest=4096),
    "message-wrapper": Target(make=message_wrapper, longest=2048),
    "reference-file": Target(make=reference_file, longest=4096),
}
"""Every target under the name of its corpus."""
