"""What cannot be done is said at admission where possible, else in a condition, with the way out."""

from __future__ import annotations

import json

import pytest

from demo.cluster import KubectlError
from demo.scene import Scene
from demo.stage import Stage

POOLS = "POST /accounts/*/load_balancers/pools"


async def test_a_tunnel_s_address_in_a_pool_of_addresses_is_refused_at_admission(scene: Scene) -> None:
    tunnel = "6ff42ae2-765d-4adf-8112-31c55c1551ef.cfargotunnel.com"
    with pytest.raises(KubectlError, match="tunnel origins or address origins, never both"):
        await scene.put("LBPool", scene.pool, {"origins": [{"name": "mixed", "address": tunnel}]})


async def test_a_tunnel_that_names_a_pool_of_addresses_says_that_pools_are_not_mixed(scene: Scene) -> None:
    await scene.put("LBPool", scene.pool, {"origins": [{"name": "one", "address": "192.0.2.1"}]})
    await scene.tunnel()
    message = await scene.wait_reason("tunnels", "web", "MixedPool")
    assert message == (
        f"LBPool '{scene.pool}' has `origins` with addresses, and a pool holds tunnel origins or address "
        "origins, never both: name another pool"
    )


@pytest.mark.parametrize("hostname", ["my_host.example.com", "example", "*.example.com", "My.example.com"])
async def test_a_bad_hostname_is_refused_at_admission(scene: Scene, hostname: str) -> None:
    with pytest.raises(
        KubectlError, match=r"must be a full host name in lower case.*such as 'app.example.com'"
    ):
        await scene.tunnel(hostname=hostname)


async def test_a_hostname_that_a_record_of_somebody_else_s_holds_is_left_to_them(scene: Scene) -> None:
    await scene.tunnel(hostname="taken.example.com")
    message = await scene.wait_reason("tunnels", "web", "HostnameInUse")
    assert message.startswith("a DNS record CNAME 'taken.example.com' to '")
    assert message.endswith(
        "exists at Cloudflare and was not made by tunnelpool: delete it or choose another name, "
        "or set `adoption` to 'IfUnowned'"
    )
    assert not scene.stage.decoys.harmed(await scene.stage.edge.state())


async def test_a_hostname_of_no_zone_says_what_to_correct(scene: Scene) -> None:
    await scene.tunnel(hostname="app.example.org")
    message = await scene.wait_reason("tunnels", "web", "ZoneNotFound")
    assert (
        "no zone that the API token can see holds hostname 'app.example.org': correct the hostname" in message
    )


async def test_a_missing_secret_is_asked_for_and_found_once_it_is_there(scene: Scene) -> None:
    await scene.tunnel(credentialsRef={"name": "own"}, replicas=1)
    message = await scene.wait_reason("tunnels", "web", "CredentialsMissing")
    assert message == (
        f"Secret '{scene.namespace}/own' must exist: create it with the keys 'apiToken' and 'accountId', "
        "or name another by `credentialsRef`"
    )
    facts = scene.stage.edge.facts
    await scene.secret("own", apiToken=facts.api_token, accountId=facts.account_id)
    await scene.wait_current()


async def test_a_wrong_token_is_named_by_its_secret(scene: Scene) -> None:
    wrong = "wrong-token-of-some-length-0123456789abcdef"
    await scene.secret("own", apiToken=wrong, accountId=scene.stage.edge.facts.account_id)
    await scene.tunnel(credentialsRef={"name": "own"}, replicas=1)
    message = await scene.wait_reason("tunnels", "web", "CredentialsInvalid")
    assert message.startswith(f"Cloudflare refuses the token of Secret '{scene.namespace}/own': ")
    assert message.endswith("replace it")
    assert wrong not in message


async def test_a_token_without_a_permission_says_which_one_it_lacks(scene: Scene) -> None:
    facts = scene.stage.edge.facts
    made = await scene.stage.edge.control("POST", "/tokens", {"permissions": ["Zone Read", "DNS Write"]})
    await scene.secret("own", apiToken=made["token"], accountId=facts.account_id)
    await scene.tunnel(credentialsRef={"name": "own"}, replicas=1)
    message = await scene.wait_reason("tunnels", "web", "MissingPermission")
    assert message.startswith("the API token lacks Cloudflare Tunnel")


async def test_an_account_without_load_balancing_is_told_where_to_enable_it(
    theatre: Stage, scene: Scene
) -> None:
    # The words of an account that has not bought it; the edge's own tests show that it answers so.
    refusal = "the origin list length must be in range [1, 0]: validation failed"
    await theatre.edge.add_fault(POOLS, status=400, code=1002, message=refusal)
    try:
        await scene.tunnel(replicas=1)
        message = await scene.wait_reason("tunnels", "web", "LoadBalancingNotEnabled")
    finally:
        await theatre.edge.clear_faults()
    assert message == (
        "Load Balancing is not enabled for this account: enable it in the dashboard under "
        "Traffic > Load Balancing"
    )


async def test_a_hostname_that_the_namespace_may_not_claim_says_which_it_may(
    theatre: Stage, scene: Scene
) -> None:
    policy = [
        {"namespaces": ["*"], "hostnames": [f"*.{scene.hostname}", "my.example.com"]},
        {"namespaces": ["elsewhere"], "hostnames": ["*"]},
    ]
    await theatre.set_operator(hostname_policy=json.dumps(policy))
    try:
        await scene.tunnel(replicas=1)
        message = await scene.wait_reason("tunnels", "web", "HostnameNotAllowed")
        assert not await scene.remote()
        await scene.tunnel("allowed", replicas=1, hostname=f"app.{scene.hostname}")
        await scene.wait_reason("tunnels", "allowed", "Ready")
    finally:
        await theatre.set_operator(hostname_policy="")
    assert f"namespace '{scene.namespace}' must not claim hostname '{scene.hostname}'" in message
    assert f"allows it '*.{scene.hostname}' or 'my.example.com'" in message
    await scene.wait_current()
