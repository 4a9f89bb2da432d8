//! HTTP/2 over TLS, frame by frame (RFC 9113, RFC 7541): whatever fields a test likes, in whatever order.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::support::PATIENCE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
/// No frame may be longer unless the peer says so.
const FRAME: usize = 16 * 1024;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A name and a value, as they are.
pub type Field<'a> = (&'a str, &'a str);

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Status(u16),
    /// The stream was reset, or the connection ended.
    Broken,
}

/// One connection, for one request after another.
pub struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    next: u32,
}

impl Connection {
    pub fn open(to: SocketAddr) -> Self {
        // No table of fields to keep: each block of them can be read by itself.
        Self::saying(to, &[0, 1, 0, 0, 0, 0])
    }

    /// With these settings (RFC 9113 §6.5.1).
    pub fn saying(to: SocketAddr, settings: &[u8]) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(Arc::new(config), name).expect("a client");
        let socket = TcpStream::connect(to).expect("the gateway takes connections");
        socket.set_nodelay(true).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        socket.set_write_timeout(Some(PATIENCE)).expect("a socket");
        let mut stream = StreamOwned::new(client, socket);
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("the preface");
        let mut connection = Self { stream, next: 1 };
        connection.write(SETTINGS, 0, 0, settings).expect("the settings");
        connection
    }

    /// Sends a request; an empty body is none.
    pub fn ask(&mut self, fields: &[Field], body: &[u8], trailers: &[Field]) -> Outcome {
        let id = self.next();
        self.try_ask(id, fields, body, trailers).unwrap_or(Outcome::Broken)
    }

    fn try_ask(
        &mut self,
        id: u32,
        fields: &[Field],
        body: &[u8],
        trailers: &[Field],
    ) -> std::io::Result<Outcome> {
        let end = |is_last: bool| if is_last { END_STREAM } else { 0 };
        let is_bare = body.is_empty() && trailers.is_empty();
        self.write_fields(id, fields, end(is_bare))?;
        if !body.is_empty() {
            self.write(DATA, end(trailers.is_empty()), id, body)?;
        }
        if !trailers.is_empty() {
            self.write_fields(id, trailers, END_STREAM)?;
        }
        self.try_answer(id)
    }

    /// What becomes of a request that was made.
    pub fn answer(&mut self, id: u32) -> Outcome {
        self.try_answer(id).unwrap_or(Outcome::Broken)
    }

    fn try_answer(&mut self, id: u32) -> std::io::Result<Outcome> {
        let mut status = None;
        loop {
            let (kind, flags, stream, payload) = self.read()?;
            match kind {
                SETTINGS if flags & ACK == 0 => self.write(SETTINGS, ACK, 0, &[])?,
                PING if flags & ACK == 0 => self.write(PING, ACK, 0, &payload)?,
                GOAWAY => return Ok(Outcome::Broken),
                RST_STREAM if stream == id => return Ok(status.map_or(Outcome::Broken, Outcome::Status)),
                HEADERS if stream == id => status = status.or_else(|| Some(status_of(&payload))),
                _ => {}
            }
            let is_over = stream == id && matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0;
            if let (true, Some(status)) = (is_over, status) {
                return Ok(Outcome::Status(status));
            }
        }
    }

    fn write_fields(&mut self, id: u32, fields: &[Field], flags: u8) -> std::io::Result<()> {
        let block = block(fields);
        let mut frames = block.chunks(FRAME).enumerate().peekable();
        while let Some((index, frame)) = frames.next() {
            let (kind, flags) = if index == 0 { (HEADERS, flags) } else { (CONTINUATION, 0) };
            let end = if frames.peek().is_none() { END_HEADERS } else { 0 };
            self.write(kind, flags | end, id, frame)?;
        }
        Ok(())
    }

    fn write(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) -> std::io::Result<()> {
        self.write_bytes(&frame(kind, flags, id, payload))
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Writes whatever it is given for as long as the gateway takes it.
    pub fn flood<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>) {
        for piece in pieces {
            match self.write_bytes(piece) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("neither taken nor ended: {error}")
                }
                Err(_) => return,
            }
        }
    }

    /// The numbers of the requests that were reset, and whether the connection still answers.
    pub fn state(&mut self) -> (Vec<u32>, bool) {
        const SAID: &[u8] = b"are you ";
        let mut reset = Vec::new();
        let asked = self.write(PING, 0, 0, SAID);
        let mut listening = || -> std::io::Result<bool> {
            loop {
                match self.read()? {
                    (PING, ACK, _, said) if said == SAID => return Ok(true),
                    (GOAWAY, ..) => return Ok(false),
                    (RST_STREAM, _, stream, _) => reset.push(stream),
                    _ => {}
                }
            }
        };
        let lives = match listening() {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("neither answered nor ended: {error}")
            }
            heard => asked.is_ok() && heard.unwrap_or(false),
        };
        (reset, lives)
    }

    /// The number of a request that is made by hand.
    pub fn next(&mut self) -> u32 {
        self.next += 2;
        self.next - 2
    }

    fn read(&mut self) -> std::io::Result<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload)?;
        Ok((kind, flags, u32::from_be_bytes(stream), payload))
    }
}

/// One frame (RFC 9113 §4.1).
pub fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    [&length[1..], &[kind, flags], &id.to_be_bytes(), payload].concat()
}

/// Fields as literals without indexing, in the clear.
pub fn block(fields: &[Field]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        return block.push(u8::try_from(length).expect("below 127"));
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).expect("below 128") | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).expect("below 128"));
}

/// `:status`, which stands first: out of the static table, or spelled out.
fn status_of(block: &[u8]) -> u16 {
    let updates = block.iter().take_while(|&&byte| byte & 0xe0 == 0x20).count();
    match &block[updates..] {
        [indexed @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        [0x08 | 0x18 | 0x48, length, rest @ ..] => {
            let text = &rest[..usize::from(length & 0x7f)];
            let digits = if length & 0x80 == 0 {
                text.iter().map(|digit| u16::from(digit - b'0')).collect()
            } else {
                huffman(text)
            };
            digits[..3].iter().fold(0, |number, digit| number * 10 + digit)
        }
        other => panic!("no status in {other:x?}"),
    }
}

/// Digits in the code of RFC 7541, appendix B: 0 to 2 have five bits, 3 to 9 have six.
fn huffman(text: &[u8]) -> Vec<u16> {
    let bits: Vec<u16> =
        text.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1))).collect();
    let value = |bits: &[u16]| bits.iter().fold(0, |value, bit| value * 2 + bit);
    let mut digits = Vec::new();
    let mut at = 0;
    while digits.len() < 3 {
        let short = value(&bits[at..at + 5]);
        let is_short = short <= 2;
        digits.push(if is_short { short } else { value(&bits[at..at + 6]) - 0x19 + 3 });
        at += if is_short { 5 } else { 6 };
    }
    digits
}

/// Takes any certificate: the gateway made one for trying out, which nobody can know.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
