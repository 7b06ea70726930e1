"""NVIDIA vectors in the encodings and with the collateral that others give: run as any folder of vectors is."""

import base64
import json
from dataclasses import replace

import pytest

from sealroom.pem import as_pem
from sealroom.testing.conformance import run_folder
from sealroom.testing.nras import SimulatedNras
from sealroom.testing.nvidia import GpuMachine, SimulatedGpu
from sealroom.testing.nvidia_cases import AT, NONCE, PAST
from sealroom.testing.nvidia_certificates import rim_signer_form
from sealroom.testing.nvidia_ocsp import revoked
from sealroom.testing.nvidia_rim import write_rim
from sealroom.testing.nvidia_vendor import NvidiaVendor, new_key
from sealroom.testing.pki import mint_certificate

VENDOR = NvidiaVendor.create()
MACHINE = GpuMachine.create(gpus=3, switches=2, vendor=VENDOR)
SEVERAL = GpuMachine.create(gpus=2, architecture="blackwell", vendor=VENDOR)
ROOTS = {"device_root": as_pem(VENDOR.root.certificate), "rim_root": as_pem(VENDOR.rim_root.certificate)}


@pytest.fixture
def judged(tmp_path):
    """Writes a vector and runs it; files by the name of their collateral."""

    def run(evidence, files=None, expect=None, **collateral):
        named = {"device_root": "device_root.pem", "rim_root": "rim_root.pem"} | collateral
        for name, root in ROOTS.items():
            (tmp_path / f"{name}.pem").write_bytes(root)
        (tmp_path / "evidence.bin").write_bytes(evidence)
        for name, content in (files or {}).items():
            (tmp_path / name).write_bytes(content)
        document = {
            "kind": "nvidia",
            "evidence": "evidence.bin",
            "trust_root": "device_root.pem",
            "verify_at": AT.isoformat(),
            "collateral": {key: value for key, value in named.items() if value is not None},
            "expect": {"verdict": "valid"} | (expect or {}),
        }
        (tmp_path / "vector.json").write_text(json.dumps(document))
        (result,) = run_folder(tmp_path)
        return result

    return run


@pytest.fixture(scope="module")
def gpu():
    return SimulatedGpu.create("hopper", vendor=VENDOR)


def files_of(device):
    items = device.items()
    return {"chain.pem": items["cert_chain"]} | {
        f"{name}.xml": value for name, value in items.items() if name.endswith("_rim")
    }


def entry(device, nonce=NONCE, *, write=lambda raw: base64.b64encode(raw).decode()):
    return {
        "arch": device.family.architecture.upper(),
        "certificate": base64.b64encode(as_pem(*device.certificates)).decode(),
        "evidence": write(device.report(nonce)),
        "nonce": nonce.hex(),
    }


FULL = {"cert_chain": "chain.pem", "driver_rim": "driver_rim.xml", "vbios_rim": "vbios_rim.xml",
        "level": "full-appraisal", "expected_nonce": NONCE.hex()}  # fmt: skip


@pytest.mark.parametrize(
    "written",
    [
        bytes,
        lambda raw: raw.hex().encode(),
        lambda raw: raw.hex().upper().encode() + b"\n",
        base64.b64encode,
        base64.encodebytes,
    ],
)
def test_a_report_in_any_encoding(judged, gpu, written):
    assert judged(written(gpu.report(NONCE)), files_of(gpu), {"fields": {"report_authentic": True}}, **FULL).passed


def test_a_text_that_is_no_report_is_refused(judged, gpu):
    assert judged(b"zz" * 40, files_of(gpu), **FULL).code == "nvidia.wrong-length"


@pytest.mark.parametrize("architecture", ["hopper", "blackwell", "rtx-blackwell"])
def test_fields_of_every_family(judged, architecture):
    device = SimulatedGpu.create(architecture, vendor=VENDOR)
    family, software = device.family, device.software
    project = f"{software.project}_{software.project_sku}_{software.chip_sku}".upper()
    wanted = {
        "driver_version": software.driver, "vbios_version": software.vbios, "chip_info": software.chip_info,
        "fwid": device.fwid.hex(), "architecture": family.architecture, "pdi": device.pdi.hex(),
        "vbios_rim_id": f"NV_GPU_VBIOS_{project}_{software.vbios.replace('.', '').upper()}",
        "driver_rim_id": f"NV_GPU_DRIVER_GH100_{software.driver}" if family.product == "GH100"
        else f"NV_GPU_CC_DRIVER_{family.product}_{software.driver}",
        "fwid_in_leaf_extension": "2.23.133.5.4.1.1" if family.has_tcb_info else "2.23.133.5.4.1",
        "golden_compared": 33, "mismatched_indices": [],
    }  # fmt: skip
    result = judged(device.report(NONCE), files_of(device), {"fields": wanted}, **FULL)
    assert result.passed, result.as_line()


def test_of_a_switch(judged):
    switch = MACHINE.switches[0]
    wanted = {"driver_version": None, "nvdec0_status": None, "fwid": None, "driver_rim_id": None,
              "switch_pdis": [switch.pdi.hex()]}  # fmt: skip
    result = judged(switch.report(NONCE), files_of(switch), {"fields": wanted}, **{**FULL, "driver_rim": None})
    assert result.passed, result.as_line()


@pytest.mark.parametrize("level", ["full-appraisal; RIMs of 2026", "authenticity (no RIM was found)", "authenticity"])
def test_what_follows_the_level_is_a_remark(judged, gpu, level):
    assert judged(gpu.report(NONCE), files_of(gpu), **{**FULL, "level": level}).passed


def test_a_level_that_nobody_knows_is_not_supported(judged, gpu):
    assert judged(gpu.report(NONCE), files_of(gpu), **{**FULL, "level": "everything"}).verdict == "unsupported"


def test_the_form_of_a_report_needs_no_certificates(judged, gpu):
    raw = gpu.report(NONCE)
    assert judged(raw, level="format", expected_nonce=NONCE.hex()).verdict == "valid"
    assert judged(raw, level="format", expected_nonce="00" * 32).code == "nvidia.nonce"
    assert judged(raw[:-1], level="format").code == "nvidia.wrong-length"


@pytest.mark.parametrize("missing", ["driver_rim", "vbios_rim"])
def test_fault_gpu_cloud_3_reference_values_that_are_missing_are_no_success(judged, gpu, missing):
    result = judged(gpu.report(NONCE), files_of(gpu), **{**FULL, missing: None})
    assert (result.verdict, result.code) == ("invalid", "nvidia.no-reference-values")


def test_a_file_that_is_not_there_is_no_missing_reference_value(judged, gpu):
    result = judged(gpu.report(NONCE), files_of(gpu), **{**FULL, "vbios_rim": "nowhere.xml"})
    assert result.verdict == "unsupported"


def test_reference_values_as_the_service_sends_them(judged, gpu):
    files = files_of(gpu)
    sent = {"id": "NV_GPU_DRIVER", "rim": base64.b64encode(files["driver_rim.xml"]).decode(), "rim_format": "TCG"}
    files["driver_rim.xml"] = json.dumps(sent).encode()
    assert judged(gpu.report(NONCE), files, **FULL).passed
    files["driver_rim.xml"] = b'{"rim": 1}'
    assert judged(gpu.report(NONCE), files, **FULL).code == "nvidia.rim"


def expired(gpu, form):
    """The same values, signed by somebody whose time is over."""
    signer = VENDOR.rim_signer(form.product)
    issuer, key = VENDOR.rim_authorities(form.product)[1], new_key()
    leaf = rim_signer_form(key.public_key(), issuer=issuer.key.public_key())
    made = mint_certificate(replace(leaf, validity=PAST), issuer)
    return write_rim(form, replace(signer, key=key, certificates=(made, *signer.certificates[1:])))


def test_of_several_reference_values_the_one_for_this_device_and_time(judged, gpu):
    files, vbios = files_of(gpu), gpu.vbios_rim()
    files |= {"old.xml": expired(gpu, vbios), "other.xml": VENDOR.rim(replace(vbios, version="96.00.00.00.00"))}
    several = ["old.xml", "other.xml", "vbios_rim.xml"]
    raw = gpu.report(NONCE)
    assert judged(raw, files, **{**FULL, "vbios_rim": several}).passed
    assert judged(raw, files, **{**FULL, "vbios_rim": None, "rims": [*several, "driver_rim.xml"]}).passed
    assert judged(raw, files, **{**FULL, "vbios_rim": several[:2]}).code == "x509.expired"
    assert judged(raw, files, **{**FULL, "vbios_rim": several[1:2]}).code == "nvidia.rim-version"


@pytest.mark.parametrize(
    ("status", "code", "flags"),
    [(None, None, set()), (revoked(6), None, {"certificate_hold"}), (revoked(1), "nvidia.revoked", set())],
)
def test_answers_of_a_responder_one_file_each(judged, gpu, status, code, flags):
    changes = {} if status is None else {"status": status}
    answers = [gpu.answer(1, **changes), gpu.answer(2), gpu.answer(3), *(gpu.rim_answer(depth) for depth in range(3))]
    files = files_of(gpu) | {f"{number}.der": answer for number, answer in enumerate(answers)}
    named = dict(zip(("brom", "provisioner", "identity", "l4", "l3", "ca"), sorted(files)[:6], strict=True))
    for given in ({"ocsp": list(named.values())}, {f"ocsp_{name}": path for name, path in named.items()},
                  {"ocsp_responses": named}):  # fmt: skip
        result = judged(gpu.report(NONCE), files, {"policy_flags": sorted(flags)}, **FULL, **given)
        assert result.code == code
        assert set(result.flags) == (flags if code is None else set())
    files["own.cbor"] = gpu.ocsp({} if status is None else {1: status})
    assert judged(gpu.report(NONCE), files, **FULL, ocsp="own.cbor").code == code


def cmw(devices):
    def message(kind, raw):
        return [kind, base64.urlsafe_b64encode(raw).rstrip(b"=").decode()]

    return {
        "__cmwc_t": "tag:nvidia.com,2026:verifier-input",
        "nonce": message("application/octet-stream", NONCE),
        **{f"gpu_{number}": {
            "__cmwc_t": "tag:nvidia.com,2026:evidence-item/v1",
            "evidence": message("application/vnd.nvidia.spdm-measurement-transcript", device.report(NONCE)),
            "certificate": message("application/vnd.nvidia.pem-cert-chain", as_pem(*device.certificates)),
            "nonce": message("application/octet-stream", NONCE),
        } for number, device in enumerate(devices)},
    }  # fmt: skip


SHAPES = {
    "a list": lambda devices: [entry(device) for device in devices],
    "a list of lists": lambda devices: [[entry(device)] for device in devices],
    "a request to the service": lambda devices: {"nonce": NONCE.hex(), "arch": "HOPPER", "claims_version": "3.0",
                                                 "evidence_list": [entry(device) for device in devices]},
    "Confidential Containers', in hexadecimal": lambda devices: {"device_evidence_list": [
        entry(device, write=bytes.hex) | {"uuid": "unknown"} for device in devices]},
    "one list for each kind": lambda devices: {"gpus": [entry(device) for device in devices[:1]],
                                               "switches": [entry(device) for device in devices[1:]]},
    "a table": lambda devices: {f"device-{number}": entry(device) for number, device in enumerate(devices)},
    "certificates as they are": lambda devices: [
        entry(device) | {"certificate": as_pem(*device.certificates).decode()} for device in devices],
    "a collection of messages": cmw,
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_several_devices_in_any_shape(judged, shape):
    document = SHAPES[shape](SEVERAL.gpus)
    wanted = {"gpus": 2, "switches": 0, "distinct_devices": 2, "driver_version": "590.12",
              "gpu_pdis": [gpu.pdi.hex() for gpu in SEVERAL.gpus]}  # fmt: skip
    result = judged(json.dumps(document).encode(), None, {"fields": wanted}, expected_nonce=NONCE.hex())
    assert result.passed, result.as_line()


def test_a_machine_with_switches_names_all_of_it(judged):
    gpus, switches = [entry(gpu) for gpu in MACHINE.gpus], [entry(switch) for switch in MACHINE.switches]
    level = {"level": "authenticity+topology", "expected_nonce": NONCE.hex()}
    whole = {"fields": {"gpus": 3, "switches": 2, "switch_pdis": [one.pdi.hex() for one in MACHINE.switches]}}
    assert judged(json.dumps(gpus + switches).encode(), None, whole, **level).passed
    apart = {"switches.json": json.dumps(switches).encode()}
    assert judged(json.dumps(gpus).encode(), apart, whole, **level, switch_evidence="switches.json").passed
    for missing in (gpus, gpus + switches[:1], gpus[:2] + switches):
        assert judged(json.dumps(missing).encode(), **level).code == "nvidia.topology"
        assert judged(json.dumps(missing).encode(), **{**level, "level": "authenticity"}).verdict == "valid"
    stranger = entry(SimulatedGpu.create("ls10", vendor=VENDOR))
    assert judged(json.dumps([*gpus, switches[0], stranger]).encode(), **level).code == "nvidia.topology"
    count = {"policy": {"expected_gpu_count": 3, "expected_switch_count": 4}}
    assert judged(json.dumps(gpus + switches).encode(), **level, **count).code == "nvidia.count"


def test_all_devices_of_a_set_are_compared_with_their_own_values(judged):
    devices = [MACHINE.gpus[0], MACHINE.switches[0]]
    raw = json.dumps([entry(device) for device in devices]).encode()
    files = {f"{number}-{name}": content for number, device in enumerate(devices)
             for name, content in files_of(device).items()}  # fmt: skip
    rims = [name for name in files if name.endswith(".xml")]
    assert judged(raw, files, level="full-appraisal", rims=rims).verdict == "valid"
    short = [name for name in rims if not name.startswith("1-")]
    assert judged(raw, files, level="full-appraisal", rims=short).code == "nvidia.no-reference-values"


def test_devices_that_are_no_set(judged):
    first, second = SEVERAL.gpus
    for devices, code in (
        ([entry(first), entry(first)], "nvidia.topology"),
        ([entry(first), entry(second, bytes(32))], "nvidia.topology"),
        ([entry(first) | {"nonce": "00" * 32}], "nvidia.envelope-nonce"),
        ([entry(first) | {"nonce": "~"}], "nvidia.envelope-nonce"),
        ([entry(first) | {"certificate": entry(second)["certificate"]}], "nvidia.signature"),
        ([entry(first) | {"certificate": 1}], "nvidia.evidence-list"),
        ([entry(first) | {"certificate": "%"}], "nvidia.evidence-list"),
        ([], "nvidia.evidence-list"),
        ({"arch": "HOPPER"}, "nvidia.evidence-list"),
    ):
        assert judged(json.dumps(devices).encode()).code == code
    nested = entry(first)
    for _ in range(12):
        nested = {"in": nested}
    assert judged(json.dumps(nested).encode()).code == "nvidia.evidence-list"
    assert judged(b'[{"evidence": "1"}').code == "nvidia.evidence-list"
    assert judged(json.dumps([entry(first)] * 65).encode()).code == "nvidia.evidence-list"


def test_other_roots_than_the_vectors_own_are_not_taken(judged, gpu):
    other = SimulatedGpu.create("hopper")
    assert judged(other.report(NONCE), files_of(other), **FULL).code == "x509.untrusted-root"
    mixed = files_of(gpu) | {name: raw for name, raw in files_of(other).items() if name.endswith(".xml")}
    assert judged(gpu.report(NONCE), mixed, **FULL).code == "x509.untrusted-root"


def test_reference_values_alone(judged, gpu):
    raw = gpu.items()["driver_rim"]
    wanted = {"fields": {"product": "GH100", "edition": "GPU", "active_measurements": 21, "chain_errors": []}}
    assert judged(raw, None, wanted, level="rim-only").passed
    sent = json.dumps({"rim": base64.b64encode(raw).decode()}).encode()
    assert judged(sent, None, wanted, level="rim-only").passed
    assert judged(raw, None, {"fields": {"product": "GH100"}}, level="format").verdict == "valid"
    assert judged(expired(gpu, gpu.driver_rim()), None, level="rim-only").code == "x509.expired"


def token(judged, service, raw, *, expect=None, **collateral):
    given = {"level": "authenticity", "jwks": "jwks.json", "expected_nonce": NONCE.hex()} | collateral
    return judged(raw, {"jwks.json": service.jwks}, expect, **given)


@pytest.mark.parametrize("version", ["2.0", "3.0", "4.0"])
@pytest.mark.parametrize("devices", [{"GPU-0": {}}, {"GPU-0": {}, "GPU-1": {}, "SWITCH-0": {}}])
def test_an_answer_of_the_service(judged, version, devices):
    service = SimulatedNras()
    raw = service.answer(NONCE, AT, devices=devices, overall={"x-nvidia-ver": version})
    wanted = {"overall_alg": "ES384", "claims_version": version, "eat_nonce": NONCE.hex(), "devices": list(devices),
              "submod_digest_matches": True, "x-nvidia-overall-att-result": True}  # fmt: skip
    for level in ("format; no keys", "authenticity"):
        keys = {} if level == "authenticity" else {"jwks": None}
        result = token(judged, service, raw, expect={"fields": wanted}, level=level, **keys)
        # keys that the case itself brings are no root of simulated hardware, and this one names one for its chains
        assert (result.verdict, result.fields_differ) == ("valid", ())


@pytest.mark.parametrize(
    ("changes", "collateral", "code"),
    [
        ({"overall": {"x-nvidia-overall-att-result": False}}, {}, "nvidia.nras-result"),
        ({"devices": {"GPU-0": {}, "GPU-1": {"measres": "fail"}}}, {}, "nvidia.nras-measurements"),
        ({"overall": {"submods": {}}}, {}, "nvidia.nras-submodules"),
        ({"overall": {"iss": "https://nras.invalid"}}, {}, "nvidia.nras-issuer"),
        ({"overall": {"exp": int(AT.timestamp()) - 1}}, {}, "nvidia.token-expired"),
        ({"overall": {"exp": int(AT.timestamp()) - 1}}, {"jwks": None, "level": "format"}, "nvidia.token-expired"),
        ({"devices": {"GPU-0": {"exp": 1}}}, {"jwks": None, "level": "format"}, "nvidia.token-expired"),
        ({"devices": {"GPU-0": {"eat_nonce": "00" * 32}}}, {}, "nvidia.nras-nonce"),
        ({}, {"jwks": None}, "collateral.missing"),
        ({}, {"expected_nonce": "00" * 32}, "nvidia.nras-nonce"),
        ({}, {"expected_nonce": "00" * 32, "jwks": None, "level": "format"}, "nvidia.nras-nonce"),
    ],
)
def test_an_answer_that_is_not_in_order(judged, changes, collateral, code):
    service = SimulatedNras()
    assert token(judged, service, service.answer(NONCE, AT, **changes), **collateral).code == code


def test_an_answer_whose_parts_are_of_several(judged):
    service = SimulatedNras()
    one, other = (json.loads(service.answer(NONCE, AT, devices={"GPU-0": {"ueid": ueid}})) for ueid in ("1", "2"))
    mixed = json.dumps([one[0], other[1]]).encode()
    for given in ({}, {"jwks": None, "level": "format"}):
        result = token(judged, service, mixed, expect={"fields": {"submod_digest_matches": False}}, **given)
        assert (result.code, result.fields_differ) == ("nvidia.nras-submodule-digest", ())
    stranger = SimulatedNras().answer(NONCE, AT)
    assert token(judged, service, stranger).code == "nvidia.token-signature"
