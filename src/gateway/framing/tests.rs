use super::*;
use crate::gateway::tap::Tapped;

/// Follows `text` in two pieces; answers how much of it may pass.
fn passes(text: &[u8], cut: usize) -> Option<usize> {
    let mut follower = Follower::default();
    let (first, second) = text.split_at(cut);
    match follower.follow(first) {
        Err(at) => Some(at),
        Ok(()) => follower.follow(second).err().map(|at| cut + at),
    }
}

fn request(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}").into_bytes()
}

/// A head with a bare LF: wherever a follower looks for a head, this is refused.
const LAST: &str = "GET / HTTP/1.1\nHost: x\r\n\r\n";

#[test]
fn what_is_framed_in_one_way_passes_and_the_next_head_is_found() {
    for (fields, body) in [
        ("", ""),
        ("Content-Length: 0\r\n", ""),
        ("content-length:\t5  \r\n", "a\nb\n\n"),
        ("CONTENT-LENGTH: 00005\r\n", "\r\n\r\nx"),
        ("Transfer-Encoding: Chunked\r\n", "5\r\na\nb\n\n\r\n0\r\n\r\n"),
        (
            "Transfer-Encoding:chunked\r\n",
            "A;ext=\"1\"\r\n0123456789\r\n0b \r\n0123456789\n\r\n00;x\r\nTrailer: 1\r\n\r\n",
        ),
        ("X-Long: content-length: 1\r\nX-Content-Length: 7\r\nTransfer_Encoding: x\r\n", ""),
        ("\r\n", ""),
    ] {
        let good = request(fields, body);
        let whole = [&good[..], &good, LAST.as_bytes()].concat();
        for cut in 0..whole.len() {
            assert_eq!(passes(&good, cut.min(good.len())), None, "{fields:?} {cut}");
            let refused = 2 * good.len() + LAST.find('\n').unwrap();
            assert_eq!(passes(&whole, cut), Some(refused), "{fields:?} {body:?} {cut}");
        }
    }
}

#[test]
fn what_two_readers_could_frame_differently_is_refused_where_it_stands() {
    let long = format!("Content-Length: {}5\r\n", " ".repeat(LINE));
    for fields in [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\ncontent-length: 5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length:\r\n",
        "Content-Length\r\n",
        "X: 1\nY: 2\r\n",
        "X: 1\r\n\n",
        &long,
    ] {
        let text = request(fields, "");
        let begin = text.len() - fields.len() - 2;
        for cut in 0..text.len() {
            assert!(passes(&text, cut).is_some_and(|at| at > begin && at < text.len()), "{fields:?} {cut}");
        }
    }
    for body in [
        "x\r\n",
        "\r\n",
        "5\nabcde",
        "5x\r\nabcde",
        "+5\r\nabcde",
        "ffffffffffffffff\r\n",
        "10000000000000000\r\n",
    ] {
        assert!(passes(&request("Transfer-Encoding: chunked\r\n", body), 0).is_some(), "{body:?}");
    }
}

#[tokio::test]
async fn the_rest_is_replaced_by_what_nobody_takes() {
    use tokio::io::AsyncReadExt;
    let text = b"GET / HTTP/1.1\r\nX: 1\nY: 2\r\n\r\nGET /next HTTP/1.1\r\n\r\n";
    for room in [1, 2, 3, 64] {
        let mut reader = Tapped::new(tokio::io::join(&text[..], tokio::io::sink()), Unambiguous::default());
        let mut read = Vec::new();
        let mut buffer = vec![0; room];
        while let length @ 1.. = reader.read(&mut buffer).await.unwrap() {
            read.extend_from_slice(&buffer[..length]);
        }
        assert_eq!(read, b"GET / HTTP/1.1\r\nX: 1\0\r\n\r\n", "{room}");
    }
}
