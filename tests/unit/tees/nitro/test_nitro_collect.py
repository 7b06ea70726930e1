"""Documents from /dev/nsm: the kernel's structures to the byte, what is asked, and what a module may not answer."""

import ctypes
import errno

import pytest

from sealroom.cbor import encode_cbor
from sealroom.collect import Places, this_machine
from sealroom.errors import MalformedError, MisuseError, UnavailableError
from sealroom.evidence import Attester, Collateral, Tee, TrustRoots
from sealroom.tees import nitro
from sealroom.tees._tsm.collect import TsmDirectory
from sealroom.tees.nitro.collect import NitroModule
from sealroom.tees.nitro.collect_device import NSM_RAW, NsmDevice, NsmRequest
from sealroom.testing.guest_devices import EmulatedNsm
from sealroom.testing.nitro import SimulatedNitro
from sealroom.testing.nitro_cases import AT

DATA = bytes(range(64))
GUEST = SimulatedNitro(clock=lambda: AT)


@pytest.fixture
def device():
    return EmulatedNsm(GUEST.document)


def test_the_structure_and_the_number_are_those_of_the_kernels_header():
    assert ctypes.sizeof(NsmRequest) == 32
    assert (NsmRequest.request.offset, NsmRequest.response.offset) == (0, 16)
    assert NSM_RAW == 3 << 30 | 32 << 16 | 0x0A << 8


def test_a_document_carries_the_report_data_as_user_data_and_verifies(device):
    attester: Attester = NitroModule(device)
    collected = attester.collect(DATA)
    roots = TrustRoots(insecure_simulated=frozenset({GUEST.root_fingerprint}))
    verified = nitro.verify(nitro.parse(collected.raw), roots=roots, collateral=collected.collateral, at=AT)
    assert (nitro.claims(verified).report_data, collected.tee) == (DATA, Tee.NITRO)
    assert (attester.simulated, collected.collateral) == (False, Collateral(items={}))


def test_the_request_is_what_awss_own_crate_sends(device):
    NitroModule(device).collect(DATA)
    assert device.asked == [{"Attestation": {"user_data": DATA, "nonce": None, "public_key": None}}]


def test_nonce_and_key_go_along_where_they_are_given(device):
    raw = NitroModule(device).document(b"u", nonce=b"n", public_key=b"k")
    document = nitro.parse(raw).document
    assert (document.user_data, document.nonce, document.public_key) == (b"u", b"n", b"k")


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_report_data_has_one_size(device, size):
    with pytest.raises(MisuseError, match=r"evidence\.report-data-size"):
        NitroModule(device).collect(bytes(size))


@pytest.mark.parametrize("other", [(b"x", None, None), (DATA, b"n", None), (DATA, None, b"k"), (None, None, None)])
def test_a_document_for_something_else_is_refused(other):
    device = EmulatedNsm(lambda *_asked: GUEST.document(*other))
    with pytest.raises(UnavailableError) as refusal:
        NitroModule(device).collect(DATA)
    assert refusal.value.code == "nitro.other-document"


def test_what_the_module_says_in_error_is_told(device):
    with pytest.raises(UnavailableError, match="InputTooLarge") as refusal:
        NitroModule(device).document(bytes(513))
    assert refusal.value.code == "nitro.no-document"


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EINVAL, errno.ETIMEDOUT])
def test_an_error_of_the_kernel_is_told_by_name(device, number):
    device.error = number
    with pytest.raises(UnavailableError, match=errno.errorcode[number]) as refusal:
        NitroModule(device).collect(DATA)
    assert refusal.value.code == "nitro.no-document"


def test_a_device_that_is_not_there(tmp_path):
    with pytest.raises(UnavailableError, match="ENOENT"):
        NitroModule(tmp_path / "nsm").collect(DATA)


def test_a_request_larger_than_the_device_takes_is_not_made(device):
    with pytest.raises(UnavailableError, match="larger than the device takes"):
        NsmDevice.document(device, user_data=bytes(0x1000), nonce=None, public_key=None)
    assert device.asked == []


def test_an_answer_longer_than_its_buffer_is_refused(device):
    device.raw_answer = bytes(0x3001)
    with pytest.raises(UnavailableError, match="12289"):
        NitroModule(device).collect(DATA)


@pytest.mark.parametrize(
    "answer",
    [None, [], "Attestation", {}, {"Attestation": None}, {"Attestation": {}}, {"Attestation": {"document": "text"}},
     {"Attestation": {"document": None}}, {"Attestation": {"document": b"", "more": 1}},
     {"Attestation": {"document": b""}, "Error": "Success"}, {"GetRandom": {"random": b"x"}}],
)  # fmt: skip
def test_an_answer_that_is_none(device, answer):
    device.raw_answer = encode_cbor(answer)
    with pytest.raises(MalformedError) as refusal:
        NitroModule(device).collect(DATA)
    assert refusal.value.code == "nitro.answer"


@pytest.mark.parametrize("answer", [b"", b"\xa1", b"\xff", encode_cbor({"Error": "x"}) + b"\0"])
def test_an_answer_that_is_no_cbor(device, answer):
    device.raw_answer = answer
    with pytest.raises(MalformedError, match=r"nitro\.cbor"):
        NitroModule(device).collect(DATA)


def test_a_document_that_is_none_is_refused(device):
    device.raw_answer = encode_cbor({"Attestation": {"document": b"\x84"}})
    with pytest.raises(MalformedError):
        NitroModule(device).collect(DATA)


def test_this_machine_is_an_enclave_where_the_device_is(tmp_path):
    no = tmp_path / "no"
    places = Places(tsm=TsmDirectory(no), sev_guest=no, tdx_guest=no, gramine=no, nsm=tmp_path / "nsm", tpm=no)
    with pytest.raises(UnavailableError, match="nsm"):
        this_machine(places=places)
    places.nsm.touch()
    assert isinstance(this_machine(places=places), NitroModule)
