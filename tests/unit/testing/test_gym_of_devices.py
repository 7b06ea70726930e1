"""The gym of GPUs, Nitro documents and Arm's tokens: it finds nothing in ours, and misses what is taken out."""

import importlib

import pytest
from gym_samples import AT, recorded

from sealroom import x509_chain
from sealroom.evidence import Tee, TrustRoots
from sealroom.tees._remembered import forget_verdicts
from sealroom.tees.nvidia import appraisal, standing
from sealroom.tees.nvidia import rim as rim_module
from sealroom.testing.gym import mutations, re_minted, run_gym
from sealroom.testing.gym.judges import Ours
from sealroom.testing.gym.mutation import Expectation, Level, Sample
from sealroom.testing.nvidia import SimulatedGpu
from sealroom.testing.nvidia_vendor import NvidiaVendor

nvidia_module = importlib.import_module("sealroom.tees.nvidia.verify")  # the package has a function of that name
nitro_module = importlib.import_module("sealroom.tees.nitro.verify")
cca_module = importlib.import_module("sealroom.tees.cca.verify")
VENDOR = NvidiaVendor.create()


def gpu_sample(architecture: str) -> Sample:
    collected = SimulatedGpu.create(architecture, vendor=VENDOR).collect(b"n" * 32)
    return Sample(name=architecture, tee=Tee.NVIDIA, raw=collected.raw, collateral=dict(collected.collateral.items),
                  at=AT, roots=TrustRoots(insecure_simulated=VENDOR.root_fingerprints))  # fmt: skip


SAMPLES = [gpu_sample(architecture) for architecture in ("hopper", "blackwell", "ls10")]


def test_ours_refuses_every_forgery_of_minted_devices_and_keeps_what_is_benign():
    report = run_gym(SAMPLES, [Ours()])
    assert report.findings == []
    assert report.answers["sealroom", "original", "accepted"] == 6  # each once more under own keys
    assert report.answers["sealroom", "forgery", "refused"] > 2500


@pytest.mark.parametrize("name", ["nvidia/h100-550-full", "nvidia/ls10-switch-full", "nitro", "cca"])
def test_ours_refuses_every_forgery_of_recorded_evidence(name, shared_vectors):
    samples = recorded(shared_vectors, name)
    report = run_gym(samples, [Ours()], limit=600)
    assert samples
    assert report.findings == []
    assert report.left_out == []


def test_every_level_is_reached_and_no_label_stands_for_two_mutations():
    found = list(mutations(SAMPLES[0], SAMPLES))
    assert {mutation.level for mutation in found} >= set(Level) - {
        Level.ORIGINAL, Level.MINTED, Level.JSON, Level.REVOCATION
    }  # fmt: skip
    assert len({mutation.label for mutation in found}) == len(found)
    assert all(mutation.sample != SAMPLES[0] or mutation.expectation is not Expectation.FORGERY for mutation in found)


def nothing(*_arguments, **_keywords):
    return None


def missed(monkeypatch, sample, module, check, replacement=nothing):
    """Labels of the forgeries that are accepted once a check is gone."""
    forget_verdicts()
    x509_chain.forget()
    monkeypatch.setattr(module, check, replacement)
    found = run_gym([sample], [Ours()]).findings
    monkeypatch.undo()
    forget_verdicts()
    x509_chain.forget()
    return {finding.label.removeprefix("re-minted: ") for finding in found if finding.what == "accepted a forgery"}


@pytest.mark.parametrize(
    ("module", "check", "label", "replacement"),
    [
        (nvidia_module, "_require_signature", "report: nonce: bit 0", nothing),
        (standing, "_require_fwid", "report of other firmware", nothing),
        (standing, "_require_fwid", "leaf of other firmware", nothing),
        (appraisal, "require_for_device", "vbios_rim of another product", nothing),
        (appraisal, "require_for_device", "driver_rim of another version", nothing),
        (appraisal, "require_equal", "report of another measurement 9", nothing),
        (rim_module, "reference_holds", "driver_rim: active value 0: another", lambda *_: True),
        (rim_module, "holds", "RIMs signed by their issuer's key", lambda *_: True),
        (x509_chain, "require_in_window", "RIMs whose signer is not valid yet", nothing),
        (x509_chain, "_require_understood", "leaf with a critical extension that nobody knows", nothing),
    ],
)
def test_each_check_alone_refuses_a_forgery_of_a_gpu(monkeypatch, module, check, label, replacement):
    """Fault gpu-cloud 2, 6 and 20 among them."""
    if check == "require_for_device" or label.startswith("driver_rim: "):
        monkeypatch.setattr(appraisal, "require_equal", nothing)
    assert label in missed(monkeypatch, SAMPLES[0], module, check, replacement)


@pytest.mark.parametrize(
    ("name", "module", "check", "label"),
    [
        ("nitro", nitro_module, "verify_sign1", "document: signed 0: module_id: longer"),
        ("cca", cca_module, "require_bound", "document: bit"),
        ("nitro", nitro_module, "verify_sign1", "signed by its issuer's key"),
        ("nitro", x509_chain, "require_in_window", "issuer 1 expired"),
    ],
)
def test_a_check_of_signed_cbor_that_is_taken_out_is_missed(monkeypatch, shared_vectors, name, module, check, label):
    """Fault gpu-cloud 12: what parses and never verifies."""
    if name == "cca":
        monkeypatch.setattr(module, "verify_sign1", nothing, raising=False)
        monkeypatch.setattr(module, "require_realm_signature", nothing, raising=False)
    sample = recorded(shared_vectors, name)[0]
    assert any(found.startswith(label) for found in missed(monkeypatch, sample, module, check))


@pytest.mark.parametrize(
    ("check", "label"),
    [
        ("require_bound", "a realm that the platform does not vouch for"),
        ("require_realm_signature", "a realm's token by another key"),
        ("verify_sign1", "signed by another device"),
        ("_require_known", "a key that nobody enrolled"),
    ],
)
def test_each_check_alone_refuses_a_forgery_of_a_realm(monkeypatch, shared_vectors, check, label):
    """The binding above all: without it a realm's token proves nothing."""
    for sample in recorded(shared_vectors, "cca/coco-rme-2025", "cca/cmw-907-good"):
        assert label in missed(monkeypatch, sample, cca_module, check, lambda *_, **__: True)


def test_a_world_of_ones_own_is_not_made_of_what_is_none():
    assert re_minted(SAMPLES[0].with_item("cert_chain", b"no PEM")) is None
    assert re_minted(SAMPLES[0].with_item("driver_rim", b"<x/>")) is None
