"""The gym of clouds, TPMs and tokens: it finds nothing in ours, and misses what is taken out."""

import hashlib
import importlib

import pytest
from gym_samples import AT, recorded

from sealroom import x509_chain
from sealroom.evidence import Tee, TrustRoots
from sealroom.tees import _token
from sealroom.tees._remembered import forget_verdicts
from sealroom.tees.gcp import certificates as gcp_certificates
from sealroom.testing.azure import AzureMachine, SimulatedAzure
from sealroom.testing.azure_maa import SimulatedMaa
from sealroom.testing.dcap import DcapPlatform
from sealroom.testing.gcp import GcpMachine, SimulatedGcp
from sealroom.testing.gcp_space import SimulatedSpace
from sealroom.testing.gym import mutations, re_minted, run_gym
from sealroom.testing.gym.judges import Ours
from sealroom.testing.gym.mutation import Expectation, Level, Sample
from sealroom.testing.tpm import BANKS, SoftTpm
from sealroom.testing.tpm_log import boot, write_log
from sealroom.testing.tpm_simulated import SimulatedTpm

azure_module = importlib.import_module("sealroom.tees.azure_vtpm.verify")  # packages have functions of that name
gcp_module = importlib.import_module("sealroom.tees.gcp.verify")
tpm_module = importlib.import_module("sealroom.tees.tpm.verify")
NONCE = bytes(range(32))


def booted(kind: str) -> tuple[SoftTpm, bytes]:
    """A TPM after a boot, and the log of it."""
    tpm, events = SoftTpm.create(kind), boot(secure_boot=True)
    for event in events:
        tpm.extend(event.index, event.digests(BANKS))
    return tpm, write_log(events, BANKS)


def sample_of(name, guest, roots) -> Sample:
    collected = guest.collect(NONCE)
    return Sample(name=name, tee=collected.tee, raw=collected.raw, collateral=dict(collected.collateral.items), at=AT,
                  roots=TrustRoots(insecure_simulated=frozenset(roots)))  # fmt: skip


def azure(platform) -> Sample:
    machine = AzureMachine.create(platform=platform)
    return sample_of(f"azure {machine.inner}", SimulatedAzure(machine=machine), {machine.root_fingerprint})


def gcp(platform=None, key="rsassa") -> Sample:
    machine = GcpMachine(vendor=GcpMachine.create().vendor, tpm=SoftTpm.create(key), platform=platform)
    name = f"gcp {key} {type(platform).__name__}"
    return sample_of(name, SimulatedGcp(machine=machine), machine.root_fingerprints)


def tpm(kind: str, *, whole: bool) -> Sample:
    """``whole``: enrolled by the key's whole public area, which vouches for its attributes."""
    made, log = booted(kind)
    known = hashlib.sha256(made.public_area()).digest() if whole else made.fingerprint
    return sample_of(f"tpm {kind}", SimulatedTpm(tpm=made, event_log=log), {known})


def token(tee: Tee) -> Sample:
    service = SimulatedMaa() if tee is Tee.AZURE_VTPM else SimulatedSpace()
    raw = service.token(Tee.SNP, AT) if isinstance(service, SimulatedMaa) else service.token(NONCE.hex(), AT)
    return Sample(name=f"token of {tee}", tee=tee, raw=raw, collateral={"jwks": service.jwks}, at=AT,
                  roots=TrustRoots(token_signers=frozenset({service.signer.fingerprint})))  # fmt: skip


@pytest.fixture(scope="module")
def samples(snp_platform) -> dict[str, Sample]:
    made = [azure(snp_platform), azure(DcapPlatform.create()), gcp(), gcp(snp_platform), gcp(DcapPlatform.create()),
            gcp(key="ecdsa"), tpm("rsassa", whole=True), tpm("rsapss", whole=True), tpm("ecdsa", whole=True),
            token(Tee.AZURE_VTPM), token(Tee.GCP)]  # fmt: skip
    return {sample.name: sample for sample in made}


def test_ours_refuses_every_forgery_of_minted_clouds_and_keeps_what_is_benign(samples):
    report = run_gym([*samples.values()], [Ours()], limit=400)
    assert report.findings == []
    assert report.left_out == []
    assert report.answers["sealroom", "original", "accepted"] >= len(samples) + 8  # most once more under own keys
    assert report.answers["sealroom", "forgery", "refused"] > 4000


@pytest.mark.parametrize("name", ["azure", "gcp", "tpm"])
def test_ours_refuses_every_forgery_of_recorded_evidence(name, shared_vectors):
    """Fault gpu-cloud 19: sizes that lie, keys that were exchanged."""
    found = recorded(shared_vectors, name)
    report = run_gym(found, [Ours()], limit=500)
    assert len(found) >= 2
    assert report.findings == []
    assert report.left_out == []


def test_every_level_is_reached_and_no_label_stands_for_two_mutations(samples):
    found = {name: [*mutations(sample, [*samples.values()])] for name, sample in samples.items()}
    reached = {mutation.level for made in found.values() for mutation in made}
    assert reached >= set(Level) - {Level.ORIGINAL, Level.MINTED}
    for name, made in found.items():
        assert len({mutation.label for mutation in made}) == len(made), name
        forged = [one for one in made if one.expectation is Expectation.FORGERY]
        assert all(one.sample != samples[name] for one in forged)
    remade = [world for sample in samples.values() if (world := re_minted(sample)) is not None]
    for world in remade:
        labels = [mutation.label for mutation in world[1]]
        assert len(set(labels)) == len(labels)


def nothing(*_arguments, **_keywords):
    return None


def missed(monkeypatch, sample, module, check, label, replacement):
    """Labels of the forgeries that are accepted once a check is gone, of those that hold ``label``."""
    forget_verdicts()
    x509_chain.forget()
    monkeypatch.setattr(module, check, replacement)
    found = run_gym([sample], [Ours()], only=label).findings
    monkeypatch.undo()
    forget_verdicts()
    x509_chain.forget()
    return {finding.label.removeprefix("re-minted: ") for finding in found if finding.what == "accepted a forgery"}


@pytest.mark.parametrize(
    ("name", "module", "check", "label", "replacement"),
    [
        ("azure snp", azure_module, "require_bound", "report data: zeros", nothing),
        ("azure snp", azure_module, "require_bound", "runtime data: a stranger's key, which signed the quote",
         nothing),
        ("azure snp", azure_module, "require_signature", "quote: signed by a stranger", nothing),
        ("azure snp", azure_module, "require_signature", "quoted by another vTPM", nothing),
        ("azure snp", azure_module, "require_pcrs", "quote: register 0: bit 0", nothing),
        ("gcp rsassa NoneType", gcp_module, "require_signature", "quoted by another vTPM", nothing),
        ("gcp rsassa NoneType", gcp_module, "require_pcrs", "quote 1: another register", nothing),
        ("gcp rsassa NoneType", gcp_module, "require_attestation_key", "a key that signs anything", nothing),
        ("gcp rsassa NoneType", gcp_certificates, "_usages", "leaf for something else than attestation", nothing),
        ("gcp rsassa NoneType", x509_chain, "require_in_window", "leaf expired", nothing),
        ("tpm rsassa", tpm_module, "require_signature", "signed by another", nothing),
        ("tpm rsassa", tpm_module, "require_pcrs", "another digest", nothing),
        ("tpm rsassa", tpm_module, "require_bound_to_tpm", "a key that may leave its TPM", nothing),
        ("tpm rsassa", tpm_module, "_enrolled", "a key that nobody enrolled", lambda *_: (bytes(32), True)),
        ("tpm rsassa", tpm_module, "verify_log", "a log that is none", nothing),
        ("token of gcp", _token, "require_times", "run out a second ago", None),
        ("token of gcp", _token, "_is_of", "issuer https://shared.weu.attest.azure.net", lambda *_: True),
        ("token of azure-vtpm", _token, "_is_of", "issuer https://confidentialcomputing.googleapis.com",
         lambda *_: True),
        ("token of azure-vtpm", _token, "verify_jwt", "signed by another key", None),
    ],
)  # fmt: skip
def test_each_check_alone_refuses_a_forgery(monkeypatch, samples, name, module, check, label, replacement):
    """Fault gpu-cloud 12: what parses and never verifies."""
    sample = samples[name]
    if replacement is None:
        original = getattr(module, check)
        replacement = {"require_times": lambda claims, *, at, area: _window(original, claims, at, area),
                       "verify_jwt": lambda token, keys, **_: keys[0]}[check]  # fmt: skip
    assert label in missed(monkeypatch, sample, module, check, label, replacement)


def _window(original, claims, at, area):
    """As if it were always the first second of the token's time."""
    return original({**claims, "exp": at.timestamp() + 60}, at=at, area=area)


def test_a_world_of_ones_own_is_not_made_of_what_is_none(samples):
    assert re_minted(samples["azure tdx"]) is None
    assert re_minted(samples["gcp rsassa NoneType"].without_item("ak_issuers")) is None
    assert re_minted(samples["token of gcp"].without_item("jwks")) is None
