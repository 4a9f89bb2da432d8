//! What comes in: standard input, files, ids, moments. Everything foreign is bounded and judged here.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    net::SocketAddr,
    path::Path,
    time::Duration,
};

use clap::Args;
use zeroize::Zeroizing;

use super::{error::CliError, output};
use crate::domain::{
    api_key::{KeyId, MARK},
    clock::{Timestamp, parse_life},
    credential::Kind,
    jose::{Algorithm, BadAlgorithm, LONGEST},
    name::{BadName, ScopeName},
    token::TokenId,
};
use crate::store::room;

/// The longest document that is read whole.
const LONGEST_DOCUMENT: u64 = 4 * 1024 * 1024;
const LONGEST_LIST: u64 = 64 * 1024 * 1024;
/// The longest credential that is read.
const LONGEST_CREDENTIAL: u64 = 64 * 1024;

/// Reads a document: a file, or standard input for `-`.
pub fn document(path: &Path) -> Result<String, CliError> {
    text(path, LONGEST_DOCUMENT)
}

/// The same of one that lists thousands of things.
pub fn long_document(path: &Path) -> Result<String, CliError> {
    text(path, LONGEST_LIST)
}

fn text(path: &Path, most: u64) -> Result<String, CliError> {
    let bytes = if path == Path::new("-") {
        say_that_it_waits("document");
        bounded(io::stdin().lock(), most)
    } else {
        File::open(path).and_then(|file| bounded(file, most))
    };
    let bytes = bytes.map_err(|error| unreadable(path, &error))?;
    String::from_utf8(bytes).map_err(|_| CliError::usage(format!("{} is not UTF-8 text", path.display())))
}

/// Nothing is asked, but whoever sits at a terminal is told why nothing happens.
pub fn say_that_it_waits(what: &str) {
    if io::stdin().is_terminal() {
        output::remark(&format!("reading the {what} from this terminal, up to ctrl-d"));
    }
}

/// What is said of a file that cannot be read. A missing file is a wrong argument.
pub fn unreadable(path: &Path, error: &io::Error) -> CliError {
    let message = format!("{} cannot be read: {error}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::InvalidData => {
            CliError::usage(message)
        }
        _ => CliError::broken(message),
    }
}

fn bounded(source: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {most} bytes")));
    }
    Ok(bytes)
}

/// Reads a credential from standard input; the newline that `echo` adds is not part of it.
pub fn credential() -> Result<Zeroizing<String>, CliError> {
    say_that_it_waits("credential");
    one_credential(io::stdin().lock())
        .map_err(|error| CliError::usage(format!("standard input cannot be read: {error}")))
}

/// Reads a credential from standard input where something is to be had there: nobody is waited for at a terminal.
pub fn credential_if_any() -> Result<Option<Zeroizing<String>>, CliError> {
    if io::stdin().is_terminal() {
        return Ok(None);
    }
    credential().map(|text| Some(text).filter(|text| !text.trim().is_empty()))
}

/// A token as it was copied: without blanks at its ends, and without the scheme of the field that it stood in.
pub fn bare_token(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix("Bearer ").map_or(text, str::trim_start)
}

/// Reads a credential from a file, or from standard input for `-`.
pub fn credential_of(path: &Path) -> Result<Zeroizing<String>, CliError> {
    if path == Path::new("-") {
        return credential();
    }
    File::open(path).and_then(one_credential).map_err(|error| unreadable(path, &error))
}

fn one_credential(source: impl Read) -> io::Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(bounded(source, LONGEST_CREDENTIAL)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "it is not text; give the credential as it was shown")
    })?;
    Ok(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned()))
}

/// The id of a key as it stands on the command line.
pub fn key_id(text: &str) -> Result<KeyId, CliError> {
    text.parse().map_err(|error| {
        CliError::usage(format!("this is not the id of a key: {error}")).mend("portcullis key list")
    })
}

/// The id of a token as it stands on the command line.
pub fn token_id(text: &str) -> Result<TokenId, CliError> {
    text.parse().map_err(|error| {
        CliError::usage(format!("this is not the id of a token: {error}")).mend("portcullis token list")
    })
}

/// Where something listens.
pub fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(8080);
        format!("wanted is address:port, such as 127.0.0.1:{port}")
    })
}

/// One of the algorithms that sign.
pub fn algorithm(text: &str) -> Result<Algorithm, String> {
    text.parse().map_err(|error: BadAlgorithm| error.to_string())
}

/// The id of a credential of any kind to look for; `-` stands for calls that had none.
pub fn credential_id(text: &str) -> Result<String, String> {
    let read = Kind::ALL.map(|kind| kind.parse(text));
    if text == "-" || read.iter().any(Result::is_ok) {
        return Ok(text.to_owned());
    }
    let wrong: Vec<_> = read.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
    Err(format!("{}; `-` stands for calls without a credential", wrong.join("; ")))
}

/// From when until when.
#[derive(Debug, Args)]
pub struct Span {
    /// From when: an age such as 24h, a date (from its beginning in UTC), or an RFC 3339 time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Before when, in the same way
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
}

impl Span {
    pub fn read(&self, now: Timestamp) -> Result<(Option<Timestamp>, Option<Timestamp>), CliError> {
        let moment = |text: &Option<String>| text.as_deref().map(|text| since(text, now)).transpose();
        let (since, until) = (moment(&self.since)?, moment(&self.until)?);
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            return Err(CliError::usage(format!(
                "the range is empty: it begins at {since} and ends at {until}"
            )));
        }
        Ok((since, until))
    }
}

/// One scope. Several in one argument are between commas; people try spaces, as OAuth has them.
pub fn scope(text: &str) -> Result<ScopeName, String> {
    text.parse().map_err(|error: BadName| {
        let several = text.split_whitespace().collect::<Vec<_>>();
        if several.len() > 1 && several.iter().all(|one| one.parse::<ScopeName>().is_ok()) {
            return format!("write several scopes between commas: {}", several.join(","));
        }
        error.to_string()
    })
}

/// A moment in the past: `24h` ago, a date, or an RFC 3339 time.
pub fn since(text: &str, now: Timestamp) -> Result<Timestamp, CliError> {
    if let Ok(age) = parse_life(text) {
        return Ok(now.minus(age));
    }
    Timestamp::typed(text).map_err(|_| {
        CliError::usage(format!(
            "`{text}` is neither a length of time such as 24h, nor a date such as 2026-07-28, nor an RFC 3339 time such as \
             2026-07-28T09:30:00Z"
        ))
    })
}

/// A length of time in which zero is allowed (`0`, `0s`).
pub fn grace(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s") {
        return Ok(Duration::ZERO);
    }
    parse_life(text).map_err(|error| error.to_string())
}

/// A size in bytes of at least so many MiB as counters and events need.
pub fn size(text: &str) -> Result<u64, String> {
    let least = room::LEAST;
    bytes(text)?.filter(|&size| size >= least).ok_or_else(|| {
        format!("a size is a whole number, such as 512MiB, and at least {} MiB here", least >> 20)
    })
}

/// The size of the longest token that is taken: a smaller one leaves no room for a signature, and what is larger fits into no
/// head of a request.
pub fn token_size(text: &str) -> Result<usize, String> {
    let size = bytes(text)?.and_then(|size| usize::try_from(size).ok());
    size.filter(|size| (1 << 10..=LONGEST).contains(size))
        .ok_or_else(|| "the size of a token is a whole number from 1KiB to 32KiB, such as 20KiB".into())
}

/// The size of the longest body that is taken: a smaller one leaves nothing of MCP, and a larger one is held in memory.
pub fn body_size(text: &str) -> Result<usize, String> {
    const BOUNDS: std::ops::RangeInclusive<u64> = 1 << 10..=1 << 30;
    let size = bytes(text)?.filter(|size| BOUNDS.contains(size)).and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| "the size of a body is a whole number from 1KiB to 1GiB, such as 16MiB".into())
}

/// A number of bytes, such as `64MiB`, `2GiB` or `1048576`; `None` where it is not whole, or too large.
fn bytes(text: &str) -> Result<Option<u64>, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[number.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err("a size is a number of bytes, or of KiB, MiB or GiB, such as 512MiB".into()),
    };
    Ok(number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)))
}

/// The longest a written key can be: `pcl_`, environment, id, secret and checksum, two underscores.
pub const LONGEST_KEY: usize = 4 + 8 + 1 + 22 + 1 + 43 + 6;

/// The length of what stands at the start of `bytes` and has the outer form of a whole API key
/// (the checksum is not judged), if anything.
pub fn key_form(bytes: &[u8]) -> Option<usize> {
    const ID: usize = 22;
    const PROOF: usize = 43 + 6;
    let rest = bytes.strip_prefix(MARK.as_bytes())?;
    let environment = rest.iter().take(9).position(|&byte| byte == b'_')?;
    let (env, rest) = rest.split_at_checked(environment)?;
    let rest = rest.get(1..)?;
    let (id, rest) = rest.split_at_checked(ID)?;
    let proof = rest.strip_prefix(b"_")?.get(..PROOF)?;
    let lower = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = !env.is_empty()
        && env.iter().all(lower)
        && id.iter().chain(proof).all(|byte| byte.is_ascii_alphanumeric());
    fits.then_some(4 + environment + 1 + ID + 1 + PROOF)
}

/// Whether an argument holds a whole API key, which has no place in a process list or a shell's history.
pub fn holds_key(argument: &[u8]) -> bool {
    (0..argument.len()).any(|start| argument.get(start..).and_then(key_form).is_some())
}

/// Whether an argument holds a signed token (`eyJ…` in three parts), which has no place there either.
pub fn holds_token(argument: &[u8]) -> bool {
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    argument.split(|byte| !is_of_token(byte)).any(|word| {
        let start = memchr::memmem::find(word, b"eyJ").unwrap_or(word.len());
        let parts: Vec<&[u8]> = word[start..].split(|&byte| byte == b'.').collect();
        matches!(parts.as_slice(), [header, payload, signature, ..]
            if header.len() > 10 && payload.len() > 1 && signature.len() > 10)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "abcdefghijklmnopqrstuv";

    #[test]
    fn a_whole_key_is_seen_wherever_it_stands() {
        let key = format!("pcl_live_{ID}_{}", "S".repeat(49));
        assert_eq!(key_form(key.as_bytes()), Some(key.len()));
        assert!(key.len() <= LONGEST_KEY);
        assert!(holds_key(format!("--name=x{key}").as_bytes()));
    }

    #[test]
    fn an_id_or_a_stump_is_no_key() {
        assert!(!holds_key(ID.as_bytes()));
        assert!(!holds_key(format!("pcl_live_{ID}").as_bytes()));
        assert!(!holds_key(format!("pcl_live_{ID}_{}", "S".repeat(48)).as_bytes()));
        assert!(!holds_key(format!("pcl_LIVE_{ID}_{}", "S".repeat(49)).as_bytes()));
    }

    #[test]
    fn a_signed_token_is_seen_wherever_it_stands() {
        let token = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PG";
        assert!(holds_token(token.as_bytes()) && holds_token(format!("--token=Bearer {token}").as_bytes()));
        for other in
            ["eyJ.a.b", "a.b.c", "eyJhbGciOiJFZERTQSJ9", "eyJhbGciOiJFZERTQSJ9.json", "/tmp/eyJa/x.tar.gz"]
        {
            assert!(!holds_token(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn since_takes_an_age_or_a_moment() {
        let now = Timestamp::from_millis(100_000_000);
        assert_eq!(since("1h", now).unwrap().millis(), 100_000_000 - 3_600_000);
        assert_eq!(since("1970-01-01T00:00:01Z", now).unwrap().millis(), 1000);
        assert_eq!(since("1970-01-02", now).unwrap().millis(), 86_400_000);
        assert!(since("yesterday", now).is_err());
    }

    #[test]
    fn a_token_has_a_size_that_fits_into_a_head() {
        for (text, size) in [("1KiB", 1 << 10), ("16KiB", 16 << 10), ("32768", 32 << 10)] {
            assert_eq!(token_size(text), Ok(size));
        }
        for text in ["", "0", "1023", "33KiB", "1MiB", "1.5KiB", "16KB", "-1"] {
            assert!(token_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_body_has_a_size_between_a_kibibyte_and_a_gibibyte() {
        for (text, size) in [("1KiB", 1 << 10), ("4MiB", 4 << 20), ("1048576", 1 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(body_size(text), Ok(size));
        }
        for text in ["", "0", "1023", "2GiB", "1.5MiB", "4MB", "-1", "4 MiB", "99999999999999999999GiB"] {
            assert!(body_size(text).is_err(), "{text}");
        }
        assert!(size("1KiB").is_err() && size("64MiB").is_ok(), "of other things there is another least");
    }

    #[test]
    fn no_grace_is_a_grace() {
        assert_eq!(grace("0"), Ok(Duration::ZERO));
        assert_eq!(grace("1h"), Ok(Duration::from_secs(3600)));
        assert!(grace("-1h").is_err());
    }
}
