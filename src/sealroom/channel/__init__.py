"""SPEAK: end-to-end encryption of one exchange. Knows no attestation; its only key is an `AttestedKey`.

    client                                        server
    ClientExchange.request  ── sealed chunks ──▶  ServerExchange.receive     → RequestHead, Data …, End
    ResponseOpener.receive  ◀─ sealed chunks ──   ServerExchange.response()  ← start, data …, finish

Inside out: `messages` (events, limits), `binary_http_*` (RFC 9292), `chunked_ohttp` and `ohttp` (draft 08, RFC 9458)
over `encapsulation`, `hpke` (RFC 9180) over `kem` and `key_schedule`; beside them `key_config` and `channel_keys`
(who can open), `replay` (each request once), `padding`, `problems` (what a refused sender is told).
Normative: ``spec/channel.md``.

All of it is sans-IO: bytes and the time in, bytes and events out.
"""

from sealroom.channel.channel_keys import ChannelKeys
from sealroom.channel.client_exchange import (
    REQUEST_MEDIA_TYPE,
    RESPONSE_MEDIA_TYPE,
    ClientExchange,
    ResponseOpener,
)
from sealroom.channel.encapsulation import Form
from sealroom.channel.key_config import KEYS_MEDIA_TYPE
from sealroom.channel.messages import (
    Data,
    End,
    Event,
    Fields,
    Informational,
    Limits,
    RequestHead,
    ResponseHead,
    find_field,
)
from sealroom.channel.problems import DATE_PROBLEM, KEY_PROBLEM, PROBLEM_MEDIA_TYPE, Problem, problem_for
from sealroom.channel.replay import ReplayWindow
from sealroom.channel.response_sealer import ResponseSealer
from sealroom.channel.server_exchange import ServerExchange

__all__ = [
    "DATE_PROBLEM",
    "KEYS_MEDIA_TYPE",
    "KEY_PROBLEM",
    "PROBLEM_MEDIA_TYPE",
    "REQUEST_MEDIA_TYPE",
    "RESPONSE_MEDIA_TYPE",
    "ChannelKeys",
    "ClientExchange",
    "Data",
    "End",
    "Event",
    "Fields",
    "Form",
    "Informational",
    "Limits",
    "Problem",
    "ReplayWindow",
    "RequestHead",
    "ResponseHead",
    "ResponseOpener",
    "ResponseSealer",
    "ServerExchange",
    "find_field",
    "problem_for",
]
