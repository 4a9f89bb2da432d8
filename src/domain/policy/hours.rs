//! Hours of the day.

use std::fmt;

use serde::{Serialize, Serializer};

/// A set of hours of the day, written as a sorted list of 0–23.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hours(u32);

impl Hours {
    pub const ALL: Self = Self(0x00ff_ffff);
    pub const NONE: Self = Self(0);

    pub const fn contains(self, hour: u32) -> bool {
        hour < 24 && self.0 & (1 << hour) != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Ascending.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0..24).filter(move |&hour| self.contains(hour))
    }
}

/// Numbers from 24 on are no hours and are left out.
impl FromIterator<u32> for Hours {
    fn from_iter<I: IntoIterator<Item = u32>>(hours: I) -> Self {
        Self(hours.into_iter().filter(|&hour| hour < 24).fold(0, |set, hour| set | 1 << hour))
    }
}

/// As people type it, and as [`super::field::parse_hours`] reads it: `8-17,20`, `all`, `none`.
impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.write_str("all");
        }
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut separator = "";
        let starts = self.iter().filter(|&hour| hour == 0 || !self.contains(hour - 1));
        for start in starts {
            let end = (start..24).take_while(|&hour| self.contains(hour)).last().unwrap_or(start);
            match end - start {
                0 => write!(f, "{separator}{start}")?,
                _ => write!(f, "{separator}{start}-{end}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Hours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}
