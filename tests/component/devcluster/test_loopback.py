"""Blocks of loopback addresses, each for one cluster."""

import subprocess
import sys

import pytest

from devcluster.loopback import claim_block, free_port


def test_no_two_clusters_have_the_same_block() -> None:
    blocks = [claim_block() for _ in range(60)]
    assert len({block.number for block in blocks}) == 60
    taken = blocks[0].number
    with pytest.raises(RuntimeError, match="running clusters have claimed every block"):
        claim_block([taken])
    for block in blocks:
        block.close()
    claim_block([taken]).close()


def test_a_block_is_free_again_when_its_process_is_killed() -> None:
    program = """
import os
from devcluster.loopback import claim_block
print(claim_block().number, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    claim_block([int(done.stdout)]).close()


def test_pools_of_a_block_do_not_overlap() -> None:
    block = claim_block()
    first, second, third = block.pool(0, 32), block.pool(32, 32), block.pool(128, 64)
    assert not first.network.overlaps(second.network)
    assert not second.network.overlaps(third.network)
    assert all(pool.network.subnet_of(block.network) for pool in (first, second, third))
    assert free_port(block.control_plane) > 0
    block.close()
