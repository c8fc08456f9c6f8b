"""The demo's rolling update: what is asked for, and when its plan counts as true."""

import pytest

from demo.story import QUICKSTART
from demo.update import CHANGES, IMAGE, Plan, changed

DEPLOYMENTS = "".join(f"  ~ cluster     Deployment  default/web-connector-{slot}\n" for slot in range(3))


def test_the_quickstart_gets_another_image_and_nothing_else() -> None:
    before = QUICKSTART.read_text()
    after = changed(before)
    assert IMAGE in after
    assert after.replace(f', podTemplate: {{image: "{IMAGE}"}}', "") == before


def test_where_there_is_nothing_to_change_that_is_an_error() -> None:
    with pytest.raises(ValueError, match="one Tunnel of three replicas, not 0"):
        changed("kind: Tunnel")


@pytest.mark.parametrize(
    ("status", "text", "writes", "true"),
    [
        (CHANGES, DEPLOYMENTS, 0, True),
        (0, DEPLOYMENTS, 0, False),
        (CHANGES, DEPLOYMENTS + "  ~ Cloudflare  pool        my-pool\n", 0, False),
        (CHANGES, DEPLOYMENTS.partition("\n")[2], 0, False),
        (CHANGES, DEPLOYMENTS, 1, False),
    ],
)
def test_a_plan_is_true_if_three_deployments_change_and_nothing_at_cloudflare(
    status: int, text: str, writes: int, true: bool
) -> None:
    assert Plan(status, text, writes).true is true
