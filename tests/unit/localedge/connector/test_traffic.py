from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from localedge.connector.traffic import Traffic


def test_the_page_is_in_the_text_format_under_cloudflareds_names() -> None:
    traffic = Traffic(ha_connections=4, requests=3, errors=1, registered=4, locations={0: "LHR", 1: 'a"b'})
    traffic.responses.update([200, 200, 502])
    traffic.refused["server_error"] += 1
    samples = {
        (sample.name.removesuffix("_total"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(traffic.exposition(config_version=7, version="v"))
        for sample in family.samples
    }
    assert samples == {
        ("build_info", (("type", "localedge-connector"), ("version", "v"))): 1,
        ("cloudflared_tunnel_ha_connections", ()): 4,
        ("cloudflared_tunnel_total_requests", ()): 3,
        ("cloudflared_tunnel_request_errors", ()): 1,
        ("cloudflared_tunnel_concurrent_requests_per_tunnel", ()): 0,
        ("cloudflared_tunnel_response_by_code", (("status_code", "200"),)): 2,
        ("cloudflared_tunnel_response_by_code", (("status_code", "502"),)): 1,
        ("cloudflared_tunnel_server_locations", (("connection_id", "0"), ("edge_location", "LHR"))): 1,
        ("cloudflared_tunnel_server_locations", (("connection_id", "1"), ("edge_location", 'a"b'))): 1,
        ("cloudflared_tunnel_tunnel_register_success", (("rpcName", "registerConnection"),)): 4,
        (
            "cloudflared_tunnel_tunnel_register_fail",
            (("error", "server_error"), ("rpcName", "registerConnection")),
        ): 1,
        ("cloudflared_orchestration_config_version", ()): 7,
    }
