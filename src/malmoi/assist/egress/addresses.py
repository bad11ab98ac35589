"""Which IP addresses belong to the public internet.

`ipaddress.is_global` knows private, loopback, link-local and shared (CGNAT) ranges. On top of it come
addresses that carry an IPv4 address inside (mapped, compatible, 6to4, NAT64, Teredo, ISATAP), multicast and
site-local ones, and addresses of cloud services that only the machine itself can reach.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_NEVER_V4 = (
    IPv4Network("168.63.129.16/32"),  # a cloud's host agent, on an address that looks public
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
)
_SIX_TO_FOUR = IPv6Network("2002::/16")
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = IPv6Network("::/96")
_TEREDO = IPv6Network("2001::/32")
_ISATAP = (0x00005EFE, 0x02005EFE)


def is_public(address: str) -> bool:
    """Whether an address in its usual writing may be connected to by anybody's wish.

    Raises:
        ValueError: it is no IP address.
    """
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv4Address):
        return _is_public_v4(parsed)
    if parsed.is_multicast or parsed.is_site_local or parsed in _TEREDO:
        return False
    inside = _inside(parsed)
    if inside is not None:
        return _is_public_v4(inside)
    return parsed.is_global


def _is_public_v4(address: IPv4Address) -> bool:
    if address.is_multicast or address.is_reserved or any(address in network for network in _NEVER_V4):
        return False
    return address.is_global


def _inside(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address carries."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    number = int(address)
    if address in _SIX_TO_FOUR:
        return IPv4Address((number >> 80) & 0xFFFFFFFF)
    if address in _COMPATIBLE or any(address in network for network in _NAT64):
        return IPv4Address(number & 0xFFFFFFFF)
    if (number >> 32) & 0xFFFFFFFF in _ISATAP:
        return IPv4Address(number & 0xFFFFFFFF)
    return None
