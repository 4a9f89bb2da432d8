//! The acts: one vocabulary for the operation, the CLI path, the palette entry, the name that a
//! key is bound to, and the verb in the audit log.

use std::fmt;

macro_rules! acts {
    ($($(#[$meta:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Act {
            $($(#[$meta])* $variant),+
        }

        impl Act {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }
    };
}

acts! {
    HomeCreate = "home.create",
    KeyCreate = "key.create",
    KeySet = "key.set",
    KeyRotate = "key.rotate",
    KeyDisable = "key.disable",
    KeyEnable = "key.enable",
    KeyRevoke = "key.revoke",
    KeyPurge = "key.purge",
    PolicyCreate = "policy.create",
    PolicyApply = "policy.apply",
    PolicyRollback = "policy.rollback",
    PolicyDelete = "policy.delete",
    ScopeSet = "scope.set",
    ScopeRemove = "scope.remove",
    SigningKeyCreate = "signing-key.create",
    SigningKeyImport = "signing-key.import",
    SigningKeyRotate = "signing-key.rotate",
    SigningKeyRetire = "signing-key.retire",
    TokenIssue = "token.issue",
    TokenRevoke = "token.revoke",
    TokenPurge = "token.purge",
    IssuerAdd = "issuer.add",
    IssuerSet = "issuer.set",
    IssuerRefresh = "issuer.refresh",
    IssuerRemove = "issuer.remove",
    /// What the public URL of the gateway is.
    ResourceSet = "resource.set",
    /// The gateway's digest of the events of a minute or more.
    EventFlush = "event.flush",
    EventPurge = "event.purge",
    UsagePurge = "usage.purge",
    /// How much room counters and events may take.
    UsageBudget = "usage.budget",
    /// A copy of the store was made; of when and for whom stands beside it.
    StoreBackup = "store.backup",
    /// The store was put back from such a copy; what came after it is gone.
    StoreRestore = "store.restore",
    /// An operator went on with a store that is not what the home remembers.
    StoreAccept = "store.accept",
    /// The store of an earlier release was brought up to date.
    StoreUpgrade = "store.upgrade",
    /// The first record of a store that was made in the place of a lost one.
    StoreBeginAnew = "store.begin-anew",
    GatewayStart = "gateway.start",
    GatewayStop = "gateway.stop",
    /// An operator's attempt that was refused.
    Refused = "refused",
}

impl Act {
    /// Whether it is how an operator stops somebody: it takes rights away, or may. These must be possible while the
    /// disk is full; what gives rights or tidies up can wait.
    pub const fn stops_somebody(self) -> bool {
        matches!(
            self,
            Self::KeySet
                | Self::KeyRevoke
                | Self::KeyDisable
                | Self::KeyRotate
                | Self::TokenRevoke
                | Self::SigningKeyRotate
                | Self::SigningKeyRetire
                | Self::IssuerSet
                | Self::IssuerRefresh
                | Self::IssuerRemove
                | Self::PolicyApply
                | Self::PolicyRollback
        )
    }

    /// Whether it makes room on the disk: this too must be possible while the disk is full.
    pub const fn makes_room(self) -> bool {
        matches!(self, Self::EventPurge | Self::UsagePurge | Self::UsageBudget)
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
