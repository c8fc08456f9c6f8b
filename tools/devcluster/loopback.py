"""A /16 of 127/8 for each cluster: parallel clusters never meet, and no port has to be guessed twice."""

import random
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

# 127.0 is where everybody else listens; 127.255 ends in the broadcast address.
FIRST, LAST = 1, 254


class LoopbackBlock:
    """127.N.0.0/16, claimed for the life of this process.

    The claim is an abstract Unix socket: its scope is the network namespace, like that of 127/8, and the
    kernel drops it with the process, however that ends. The same socket is the cluster's control socket.
    """

    def __init__(self, number: int, claim: socket.socket) -> None:
        self.number = number
        self.claim = claim
        self.network = IPv4Network(f"127.{number}.0.0/16")
        self.control_plane = f"127.{number}.255.1"

    @property
    def control_name(self) -> str:
        """The abstract socket's name, for clients."""
        return control_name(self.number)

    def pool(self, third: int, length: int = 64) -> "AddressPool":
        """Return the addresses from 127.N.`third`.0 on, `length` (a power of two) times 256."""
        start = IPv4Address(f"127.{self.number}.{third}.0")
        return AddressPool(IPv4Network((start, 24 - (length.bit_length() - 1))))

    def close(self) -> None:
        """Give the block back."""
        self.claim.close()


class AddressPool:
    """Hands out addresses; a freed one comes round again last, so that a stale reference meets nobody."""

    def __init__(self, network: IPv4Network) -> None:
        self.network = network
        self._fresh = network.hosts()
        self._freed: list[str] = []

    def take(self) -> str:
        """Return an address that nobody has. Raises RuntimeError when all are in use."""
        address = next(self._fresh, None)
        if address is not None:
            return str(address)
        if not self._freed:
            raise RuntimeError(f"all addresses of {self.network} are in use")
        return self._freed.pop(0)

    def give_back(self, address: str) -> None:
        """Let a later `take` hand out `address` again."""
        self._freed.append(address)


def claim_block(numbers: Sequence[int] = range(FIRST, LAST + 1)) -> LoopbackBlock:
    """Claim one of `numbers` that no other cluster of this network namespace has.

    Raises RuntimeError if all of them are taken.
    """
    for number in random.sample(numbers, len(numbers)):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(control_name(number))
        except OSError:
            claim.close()
            continue
        claim.listen()
        claim.setblocking(False)  # noqa: FBT003 - positional only
        return LoopbackBlock(number, claim)
    raise RuntimeError("running clusters have claimed every block of 127/8 that was asked for")


def control_name(number: int) -> str:
    """Return the name of the abstract socket that claims block `number`."""
    return f"\0devcluster-127.{number}"


def free_port(address: str) -> int:
    """Return a TCP port free on `address`, wildcard listeners included."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def peer_uid(connection: socket.socket) -> int:
    """Return the user at the other end of a Unix socket."""
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)
