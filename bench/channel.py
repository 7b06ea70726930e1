"""What the channel adds to the cipher: sealing a streamed chunk, and setting up HPKE.

Two ratios, each from arms that take turns within one run:

- ``chunk``: `ResponseSealer.data` on 218 bytes (a usual SSE event of one token) over bare ``AESGCM.encrypt`` of the
  same bytes under a nonce that is counted up, which is the least that anybody could do.
- ``setup``: our HPKE set-up and first message over `cryptography`'s single-shot HPKE, both KEMs, sealing and opening.

CPU time of this thread, not time on the wall: other jobs on the machine must not decide. The last line is a JSON
object; its ``ratio`` is that of ``chunk``.
"""

import json
import statistics
import time
from collections.abc import Callable

from cryptography.hazmat.primitives import hpke as single_shot
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealroom.channel import ChannelKeys, Form, ResponseHead, ResponseSealer
from sealroom.channel.encapsulation import encapsulate_header
from sealroom.channel.hpke import setup_recipient, setup_sender
from sealroom.channel.kem import generate_private_key
from sealroom.channel.key_config import choose_config, parse_key_configs
from sealroom.channel.response_sealer import ChunkedResponseSealer
from sealroom.channel.suites import AeadId, KdfId, KemId, Suite

ROUNDS = 41
CHUNKS_A_ROUND = 4000
SETUPS_A_ROUND = 40
EVENT = b"data: " + b"x" * 210 + b"\n\n"
INFO = b"message/bhttp chunked request\x00" + bytes(7)


def response_sealer() -> ResponseSealer:
    """A sealer that has begun, as the gateway holds one for each streamed answer."""
    config, suite = choose_config(parse_key_configs(ChannelKeys.generate().key_configs))
    _, _, secret = encapsulate_header(config, suite, Form.CHUNKED)
    sealer = ChunkedResponseSealer(secret)
    sealer.start(ResponseHead(status=200))
    return sealer


def seal_ours(count: int) -> None:
    """Ours: one framed, sealed chunk of Binary HTTP content a call."""
    data = SEALER.data
    for _ in range(count):
        data(EVENT)


def seal_bare(count: int) -> None:
    """The least: a nonce and the cipher."""
    encrypt = BARE.encrypt
    for number in range(count):
        encrypt(number.to_bytes(12, "big"), EVENT, None)


SEALER = response_sealer()
BARE = AESGCM(bytes(32))


def setup_arms(kem: KemId) -> dict[str, tuple[Callable[[int], None], Callable[[int], None]]]:
    """For sealing and for opening: our arm and `cryptography`'s, each called with a repeat count."""
    suite = Suite(kem=kem, kdf=KdfId.HKDF_SHA256, aead=AeadId.AES_256_GCM)
    ours = generate_private_key(kem)
    if kem is KemId.MLKEM768_X25519:
        theirs = single_shot.MLKEM768X25519PrivateKey(MLKEM768PrivateKey.generate(), X25519PrivateKey.generate())
        name = single_shot.KEM.MLKEM768_X25519
    else:
        theirs, name = X25519PrivateKey.generate(), single_shot.KEM.X25519
    their_suite = single_shot.Suite(name, single_shot.KDF.HKDF_SHA256, single_shot.AEAD.AES_256_GCM)
    their_public = theirs.public_key()
    enc, sender = setup_sender(suite, ours.public_key, INFO)
    our_sealed, their_sealed = sender.seal(EVENT), their_suite.encrypt(EVENT, their_public, INFO)

    def seal_ours(count: int) -> None:
        for _ in range(count):
            setup_sender(suite, ours.public_key, INFO)[1].seal(EVENT)

    def seal_theirs(count: int) -> None:
        for _ in range(count):
            their_suite.encrypt(EVENT, their_public, INFO)

    def open_ours(count: int) -> None:
        for _ in range(count):
            setup_recipient(suite, ours, enc, INFO).open(our_sealed)

    def open_theirs(count: int) -> None:
        for _ in range(count):
            their_suite.decrypt(their_sealed, theirs, INFO)

    return {"seal": (seal_ours, seal_theirs), "open": (open_ours, open_theirs)}


def microseconds(arm: Callable[[int], None], count: int) -> float:
    """CPU time of one repeat."""
    began = time.thread_time()
    arm(count)
    return (time.thread_time() - began) / count * 1e6


def compare(ours: Callable[[int], None], theirs: Callable[[int], None], count: int) -> dict[str, object]:
    """Medians of both arms, taken in turns and in changing order, and the ratio of each round."""
    ours(count)
    theirs(count)
    pairs: list[tuple[float, float]] = []
    for number in range(ROUNDS):
        if number % 2:
            their_time, our_time = microseconds(theirs, count), microseconds(ours, count)
        else:
            our_time, their_time = microseconds(ours, count), microseconds(theirs, count)
        pairs.append((our_time, their_time))
    ratios = sorted(our_time / their_time for our_time, their_time in pairs)
    return {
        "ratio": round(statistics.median(ratios), 3),
        "spread": [round(ratios[ROUNDS // 10], 3), round(ratios[-1 - ROUNDS // 10], 3)],
        "ours_us": round(statistics.median(pair[0] for pair in pairs), 3),
        "theirs_us": round(statistics.median(pair[1] for pair in pairs), 3),
    }


def main() -> None:
    """Measure, print a table, then the JSON line."""
    chunk = compare(seal_ours, seal_bare, CHUNKS_A_ROUND)
    rows: dict[str, dict[str, object]] = {"218-byte chunk, data() / AESGCM.encrypt": chunk}
    for kem in KemId:
        for what, (ours, theirs) in setup_arms(kem).items():
            rows[f"{kem.name} set-up and {what}, ours / single-shot"] = compare(ours, theirs, SETUPS_A_ROUND)
    for name, row in rows.items():
        print(f"{name:60} {row['ours_us']:>9} us {row['theirs_us']:>9} us   {row['ratio']} {row['spread']}")
    print(
        json.dumps(
            {
                "name": "channel",
                "ratio": chunk["ratio"],
                "spread": chunk["spread"],
                "runs": ROUNDS,
                "compared": "seal and frame a streamed chunk of 218 bytes, over AESGCM.encrypt of the same bytes",
                "rows": rows,
            }
        )
    )


if __name__ == "__main__":
    main()
