"""Two hosts on one machine: namespaces of Linux with a network and a name each, and a cable between.

Each has a folder that it alone sees, and the second one another monotonic clock.

python tests/hosts.py RATE COMMAND ...

runs a command on both, as torchrun with --nnodes=2 and --rdzv-endpoint=host-0:29400, by a cable that
takes so much, such as 1gbit. It needs root.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMES = ("host-0", "host-1")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
CABLE = "cable"  # the network device of each
# Given a name, a folder and a command: names become known, and of the folder each has its own.
_ENTER = """
echo "$0" > /proc/sys/kernel/hostname && mount -t tmpfs none "$1" &&
echo "$HOSTS" > "$1/hosts" && mount --bind "$1/hosts" /etc/hosts &&
shift && exec "$@"
"""
_APART = ("--uts", "--mount", "--time", "--fork", "--kill-child")


@contextmanager
def two_hosts(own: Path) -> Iterator[list[list[str]]]:
    """What a command begins with to run on either host.

    Parameters
    ----------
    own : Path
        An empty folder, in whose place each host sees one of its own.

    Raises
    ------
    OSError
        Where this process may make no namespaces, or has not the programs that do.
    """
    names = [f"fastparadime-{os.getpid()}-{number}" for number in range(2)]
    made: list[str] = []
    try:
        for name in names:
            _run("ip", "netns", "add", name)
            made.append(name)
        here, there = ([CABLE, "netns", name] for name in names)
        _run("ip", "link", "add", *here, "type", "veth", "peer", "name", *there)
        for name, address in zip(names, ADDRESSES, strict=True):
            _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", CABLE)
            _run("ip", "-n", name, "link", "set", CABLE, "up")
            _run("ip", "-n", name, "link", "set", "lo", "up")
        hosts = [_command(name, number, own) for number, name in enumerate(names)]
        for host in hosts:
            _run(*host, "true")
        yield hosts
    finally:
        for name in made:
            _run("ip", "netns", "delete", name)


def _command(namespace: str, number: int, own: Path) -> list[str]:
    known = "\n".join(f"{address} {name}" for address, name in zip(ADDRESSES, NAMES, strict=True))
    network = ["ip", "netns", "exec", namespace, "env", f"HOSTS=127.0.0.1 localhost\n{known}"]
    apart = ["unshare", *_APART, "--monotonic", str(100_000 * number)]
    return [*network, *apart, "sh", "-c", _ENTER, NAMES[number], str(own)]


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def main(rate: str, *command: str) -> None:
    """Runs a command on two hosts, and fails if it fails on either."""
    with tempfile.TemporaryDirectory() as own, two_hosts(Path(own)) as hosts:
        limit = ["tc", "qdisc", "add", "dev", CABLE, "root", "tbf", "rate", rate]
        for host in hosts:
            _run(*host, *limit, "burst", "256kb", "latency", "50ms")
        started = [subprocess.Popen([*host, *command]) for host in hosts]
        statuses = [process.wait() for process in started]
        if any(statuses):
            sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
