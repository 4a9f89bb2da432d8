//! The kinds of credentials, and the ids that carry them. What goes over credentials goes over [`Kind::ALL`].

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::{
    api_key::{KeyId, KeyState},
    token::{TokenId, TokenState},
};

macro_rules! kinds {
    ($($kind:ident($id:ty, $state:ty) = $word:literal, $noun:literal, $command:literal, $plural:literal);+ $(;)?) => {
        /// What a credential is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($kind),+
        }

        /// The id of a credential of any kind.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CredentialId {
            $($kind($id)),+
        }

        /// How a credential of any kind stands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum State {
            $($kind($state)),+
        }

        /// Why a text is not the id of a credential of some kind.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum BadCredentialId {
            $(#[error(transparent)] $kind(<$id as FromStr>::Err)),+
        }

        impl Kind {
            pub const ALL: [Self; [$(Self::$kind),+].len()] = [$(Self::$kind),+];

            /// As machines have it: in tables, and in JSON.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $word),+
                }
            }

            /// As people call one.
            pub const fn noun(self) -> &'static str {
                match self {
                    $(Self::$kind => $noun),+
                }
            }

            /// As the command line and the console call one: `portcullis key …`.
            pub const fn command(self) -> &'static str {
                match self {
                    $(Self::$kind => $command),+
                }
            }

            /// The same of several: `keys`.
            pub const fn plural(self) -> &'static str {
                match self {
                    $(Self::$kind => $plural),+
                }
            }

            /// Reads the id of a credential of this kind.
            ///
            /// # Errors
            /// Where no credential of this kind has such an id. The ids of several kinds may look alike.
            pub fn parse(self, id: &str) -> Result<CredentialId, BadCredentialId> {
                match self {
                    $(Self::$kind => id.parse().map(CredentialId::$kind).map_err(BadCredentialId::$kind)),+
                }
            }
        }

        impl CredentialId {
            pub const fn kind(self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind),+
                }
            }
        }

        impl State {
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind(state) => state.as_str()),+
                }
            }
        }

        impl fmt::Display for CredentialId {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$kind(id) => id.fmt(f)),+
                }
            }
        }
    };
}

kinds! {
    ApiKey(KeyId, KeyState) = "api_key", "API key", "key", "keys";
    Token(TokenId, TokenState) = "token", "token", "token", "tokens";
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_by_its_kind_and_keeps_it() {
        let text = "0123456789ABCDEFGHIJKL";
        for kind in Kind::ALL {
            let id = kind.parse(text).unwrap();
            assert_eq!((id.kind(), id.to_string().as_str()), (kind, text));
            for bad in ["", "-", &text[1..]] {
                assert!(kind.parse(bad).is_err(), "{kind:?} {bad}");
            }
        }
        assert_ne!(Kind::ApiKey.parse(text), Kind::Token.parse(text));
        // More than 128 bits: a key may be called so, and no token.
        let beyond = "z".repeat(22);
        assert!(Kind::ApiKey.parse(&beyond).is_ok() && Kind::Token.parse(&beyond).is_err());
    }

    #[test]
    fn no_two_kinds_share_a_word() {
        for words in [Kind::as_str, Kind::noun, Kind::command, Kind::plural] {
            let mut found = Kind::ALL.map(words).to_vec();
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len(), Kind::ALL.len());
        }
    }
}
