//! Streams of events under load.

use std::sync::Arc;

use super::{
    place::Place,
    upstream::{COUNT, EVENTS, FLOOD},
};

const STREAMS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_doubled_or_out_of_order() {
    let place = Arc::new(Place::new(&[]).await);
    let expected: String = (0..EVENTS).map(|number| format!("data: {number}\n\n")).collect();
    let ask = |place: Arc<Place>| tokio::spawn(async move { place.ask(COUNT).await });
    let streams: Vec<_> = (0..STREAMS).map(|_| ask(Arc::clone(&place))).collect();
    for stream in streams {
        assert_eq!(stream.await.expect("a stream"), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_closes_its_stream_ends_the_upstreams_work() {
    let place = Place::new(&[]).await;
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let (status, body) = place.call(FLOOD).await;
        assert_eq!(status, 200);
        open.push(body);
    }
    place.upstream.wait_for_floods(STREAMS).await;
    open.truncate(STREAMS / 2);
    place.upstream.wait_for_floods(STREAMS / 2).await;
    drop(open);
    place.upstream.wait_for_floods(0).await;
}
