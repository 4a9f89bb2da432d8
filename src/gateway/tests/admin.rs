//! The admin listener.

use super::harness::*;
use http::Method;
use serde_json::json;
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn health_is_of_the_process_and_readiness_of_what_it_needs() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let house = House::new();
    let gateway = house.gateway(listener.local_addr().unwrap());
    let status = async |path: &str| Ask::new(Method::GET, path).send(gateway.admin).await.status;
    assert_eq!((status("/health").await, status("/ready").await), (200, 200));
    drop(listener);
    assert_eq!((status("/health").await, status("/ready").await), (200, 503));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_listener_serves_nothing_else() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    for path in ["/", "/mcp", "/health/", "/metrics/../mcp", "/verify*", "/verifying"] {
        assert_eq!(Ask::new(Method::GET, path).key(&key).send(gateway.admin).await.status, 404, "{path}");
    }
    assert_eq!(Ask::new(Method::POST, "/health").send(gateway.admin).await.status, 405);
    let rebound = Ask::new(Method::GET, "/metrics").instead("host", "evil.example").send(gateway.admin).await;
    assert_eq!(rebound.status, 403);
    assert!(upstream.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_happened() {
    let (house, upstream) = (House::new(), Upstream::plain().await);
    let key = house.key();
    let gateway = house.gateway(upstream.address);
    for _ in 0..3 {
        assert_eq!(Ask::modern("ping", json!({})).key(&key).send(gateway.address).await.status, 200);
    }
    assert_eq!(Ask::modern("ping", json!({})).send(gateway.address).await.status, 401);
    let scraped = Ask::new(Method::GET, "/metrics").send(gateway.admin).await;
    assert_eq!(scraped.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(scraped.body.contains("# TYPE portcullis_decisions_total counter\n"), "{}", scraped.body);
    assert!(!scraped.body.contains("# EOF"));
    let newer =
        Ask::new(Method::GET, "/metrics").with("accept", "application/openmetrics-text; version=1.0.0");
    let newer = newer.send(gateway.admin).await;
    assert_eq!(newer.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(newer.body.contains("# TYPE portcullis_decisions counter\n") && newer.body.ends_with("# EOF\n"));
    for line in [
        "portcullis_decisions_total{outcome=\"allowed\"} 3",
        "portcullis_decisions_total{outcome=\"missing_credential\"} 1",
        "portcullis_upstream_errors_total{fault=\"upstream_down\"} 0",
        "portcullis_open_streams{worker=\"0\"} 0",
        "portcullis_requests_in_flight{worker=\"0\"} 0",
    ] {
        assert!(scraped.body.lines().any(|found| found == line), "{line}\n{}", scraped.body);
    }
    let counts =
        scraped.body.lines().filter(|line| line.starts_with("portcullis_gateway_overhead_seconds_count"));
    let judged: u64 = counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(judged, 3);
}
