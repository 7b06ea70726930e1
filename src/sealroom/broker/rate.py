"""How many handshakes one address may begin. Pure: the time is handed in.

A handshake costs a session that has to be kept, so whoever begins many would fill the table for all. Each address has
a bucket of its own, which fills at a steady rate: a flood empties its sender's and nobody else's. Loopback has a
larger share, because a proxy that does not name its clients (``X-Forwarded-For``) stands there for all of them.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

__all__ = ["AuthRate", "Share"]

_MOST_ADDRESSES = 4096
_IPV6_SITE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So many at once, and so many a second in the long run."""

    burst: int
    per_second: float


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class AuthRate:
    """The buckets of the addresses that were seen last; who comes back after being forgotten finds a full one."""

    def __init__(
        self,
        share: Share = Share(burst=300, per_second=30),
        loopback: Share = Share(burst=1000, per_second=200),
    ) -> None:
        self._share = share
        self._loopback = loopback
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def admit(self, address: str, *, now: float) -> bool:
        """Whether ``address`` may begin one more at ``now`` (seconds of a clock that never goes back)."""
        name, share = self._known(address)
        bucket = self._buckets.setdefault(name, _Bucket(float(share.burst), now))
        self._buckets.move_to_end(name)
        if len(self._buckets) > _MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        bucket.left = min(float(share.burst), bucket.left + (now - bucket.at) * share.per_second)
        bucket.at = now
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True

    def _known(self, address: str) -> tuple[str, Share]:
        """Under which name ``address`` is counted: an IPv6 site has more addresses than can be counted singly."""
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return "unknown", self._share
        if isinstance(found, ipaddress.IPv6Address):
            if found.ipv4_mapped is None and not found.is_loopback:
                return str(ipaddress.ip_network((found, _IPV6_SITE), strict=False)), self._share
            found = found.ipv4_mapped or found
        return ("loopback", self._loopback) if found.is_loopback else (str(found), self._share)
