//! The names of fields that end at the gateway: one list, for the gateway itself and for the proxies that
//! `portcullis snippet` writes configurations for.
//!
//! Names are in lower case. They are compared as a CGI-like server reads them (RFC 3875 §4.1.18): in any case, and with any
//! mark between their words, because such a server cannot tell `X_Portcullis_Subject` from `X-Portcullis-Subject`.

mod pattern;

pub use pattern::{BadFieldPattern, FieldPattern};

/// What a client proves itself with, or a page tells of itself: judged here, and nobody else's business.
pub const JUDGED_HERE: &[&str] = &[
    "proxy-authorization",
    "authorization",
    "cookie",
    "cookie2",
    "dpop",
    "origin",
    "x-authorization",
    "x-id-token",
    "x-access-token",
];

/// How the names of API keys' fields begin; judged here, too.
pub const KEYS: (&str, &[&str]) = ("x-api-key", &["", "-id", "-secret"]);

/// Fields that tell who asks, from where, by which method, or for what: servers believe their own proxies in that, and an
/// answer about another thing than the one that was judged would be a way around the judgement.
pub const TELLING: &[&str] = &[
    // Who.
    "proxy",
    "auth-type",
    "gap-auth",
    "gap-signature",
    "eppn",
    "persistent-id",
    "smuser",
    "x-user",
    "x-username",
    "x-userid",
    "x-userinfo",
    "x-email",
    "x-group",
    "x-groups",
    "x-role",
    "x-roles",
    "x-login",
    "x-principal",
    "x-subject",
    "x-identity",
    "x-scope",
    "x-scopes",
    "x-claims",
    "x-permissions",
    "x-authenticated",
    "x-anonymous-consumer",
    "x-credential-identifier",
    "x-credential-username",
    "x-endpoint-api-userinfo",
    "x-serverless-authorization",
    "x-custom-ip-authorization",
    "x-rh-identity",
    "client-cert",
    "client-cert-chain",
    "x-client-dn",
    "x-client-s-dn",
    "x-client-i-dn",
    "x-client-cn",
    "x-client-verify",
    // From where.
    "forwarded",
    "forwarded-for",
    "x-forwarded",
    "x-forward-for",
    "via",
    "client-ip",
    "http-client-ip",
    "x-ip",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "x-true-ip",
    "x-true-client-ip",
    "true-client-ip",
    "x-from-ip",
    "x-coming-from",
    "x-proxyuser-ip",
    "proxy-client-ip",
    "cf-pseudo-ipv4",
    "cf-ipcountry",
    "fastly-client",
    "fastly-client-ip",
    "fastly-ssl",
    "fly-client-ip",
    "do-connecting-ip",
    "incap-client-ip",
    "x-sucuri-clientip",
    "x-nf-client-connection-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-scheme",
    "x-url-scheme",
    "x-arr-ssl",
    "front-end-https",
    // For what.
    "x-host",
    "x-backend-host",
    "disguised-host",
    "was-default-hostname",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-rewrite-url",
    "x-override-url",
    "x-waws-unencoded-url",
    "x-http-path-override",
    "x-http-destinationurl",
    "x-script-name",
    "x-sendfile-type",
    "x-accel-mapping",
];

/// Families of such fields: all whose names begin so. With each, those that are known, for proxies that take away only what
/// is named to them.
pub const FAMILIES: &[(&str, &[&str])] = &[
    (
        "x-portcullis",
        &["", "-issuer", "-subject", "-credential", "-scopes", "-request-id", "-role", "-policy"],
    ),
    (
        "x-forwarded-",
        &[
            "for",
            "by",
            "host",
            "port",
            "proto",
            "protocol",
            "scheme",
            "ssl",
            "server",
            "prefix",
            "path",
            "uri",
            "method",
            "user",
            "userid",
            "username",
            "email",
            "groups",
            "roles",
            "access-token",
            "id-token",
            "preferred-username",
            "client-cert",
            "client-ip",
            "tls-client-cert",
            "tls-client-cert-info",
        ],
    ),
    (
        "x-original-",
        &["url", "uri", "host", "method", "for", "forwarded-for", "proto", "path", "remote-addr"],
    ),
    ("remote-", &["user", "group", "groups", "name", "email", "addr", "host", "ident", "port"]),
    ("x-remote-", &["user", "group", "groups", "name", "email", "ip", "addr", "host", "uid"]),
    (
        "x-auth-",
        &[
            "user",
            "username",
            "userid",
            "user-id",
            "email",
            "group",
            "groups",
            "roles",
            "name",
            "subject",
            "token",
            "key",
            "request-user",
            "request-email",
            "request-groups",
            "request-preferred-username",
            "request-access-token",
            "request-redirect",
        ],
    ),
    (
        "x-user-",
        &["id", "name", "email", "group", "groups", "role", "roles", "token", "info", "scopes", "claims"],
    ),
    ("x-authenticated-", &["user", "userid", "username", "email", "groups", "scope"]),
    ("x-webauth-", &["user", "name", "email", "groups", "role"]),
    (
        "x-client-cert",
        &[
            "",
            "-chain",
            "-leaf",
            "-subject-dn",
            "-issuer-dn",
            "-serial-number",
            "-fingerprint",
            "-present",
            "-chain-verified",
            "-error",
            "-spiffe",
            "-dnsname-sans",
            "-uri-sans",
        ],
    ),
    (
        "x-ssl-",
        &[
            "cert",
            "issuer",
            "client",
            "client-cert",
            "client-verify",
            "client-dn",
            "client-s-dn",
            "client-i-dn",
            "client-cn",
            "client-serial",
            "client-sha1",
        ],
    ),
    (
        "ssl-",
        &[
            "client-cert",
            "client-verify",
            "client-dn",
            "client-s-dn",
            "client-i-dn",
            "client-subject-dn",
            "client-issuer-dn",
            "client-serial",
        ],
    ),
    ("x-tls-client-", &["cert", "verify", "dn", "subject", "issuer", "serial"]),
    ("x-arr-clientcert", &[""]),
    (
        "x-amzn-mtls-",
        &[
            "clientcert",
            "clientcert-leaf",
            "clientcert-subject",
            "clientcert-issuer",
            "clientcert-serial-number",
        ],
    ),
    ("x-amzn-oidc-", &["data", "identity", "accesstoken"]),
    ("x-goog-iap-", &["jwt-assertion"]),
    ("x-goog-authenticated-user-", &["id", "email"]),
    ("x-apigateway-", &["api-userinfo", "event", "context"]),
    (
        "x-appengine-",
        &["user-ip", "user-email", "user-id", "user-nickname", "user-is-admin", "inbound-appid", "country"],
    ),
    ("x-ms-client-principal", &["", "-id", "-name", "-idp"]),
    ("x-ms-token-", &["aad-id-token", "aad-access-token", "google-id-token", "facebook-access-token"]),
    ("cf-access-", &["authenticated-user-email", "jwt-assertion", "client-id", "client-secret", "token"]),
    ("cf-connecting-", &["ip", "ipv6", "o2o"]),
    ("tailscale-", &["user-login", "user-name", "user-profile-pic", "app-capabilities"]),
    ("x-vercel-", &["forwarded-for", "proxied-for", "ip-country", "oidc-token"]),
    ("x-consumer-", &["id", "custom-id", "username", "groups"]),
    ("x-authentik-", &["username", "groups", "email", "name", "uid", "jwt", "entitlements"]),
    ("x-pomerium-", &["jwt-assertion", "claim-sub", "claim-user", "claim-email", "claim-groups"]),
    ("x-vouch-", &["user", "success", "token", "idp-accesstoken", "idp-idtoken"]),
    ("x-authelia-", &["user", "username", "groups", "email", "name", "url"]),
    (
        "x-token-",
        &["subject", "user", "user-id", "client-id", "scope", "scopes", "claims", "issuer", "audience"],
    ),
    ("x-claim-", &["sub", "user", "email", "groups", "roles", "scope"]),
    ("x-subject-", &["dn", "id", "name", "token"]),
    ("x-identity-", &["id", "user", "email", "token", "assertion"]),
    ("x-principal-", &["id", "name", "idp", "roles"]),
    ("x-keycloak-", &["user", "username", "token", "roles"]),
    ("x-okta-", &["user", "email", "groups", "username"]),
    ("x-grafana-", &["id", "user", "device-id", "org-id"]),
    ("x-gravitee-", &["user", "api-key", "transaction-id", "request-id"]),
    ("x-tyk-", &["authorization", "user", "nonce", "signature"]),
    ("x-jwt-", &["payload", "claims", "assertion", "sub"]),
    ("x-oidc-", &["sub", "email", "user", "groups", "access-token", "id-token"]),
    ("oidc-", &["claim-sub", "claim-email", "claim-name", "claim-groups", "access-token", "id-token"]),
    ("x-saml-", &["user", "subject", "groups", "roles"]),
    ("x-sso-", &["user", "email", "groups"]),
    ("x-spiffe-", &["id"]),
    ("mellon-", &["name-id", "uid", "mail"]),
    ("shib-", &["session-id", "identity-provider", "application-id"]),
    ("cas-", &["user", "attributes"]),
    ("sm-", &["user", "userdn", "universalid", "authtype"]),
    ("iv-", &["user", "groups", "creds"]),
    ("oam-", &["remote-user", "identity-domain"]),
    ("osso-", &["user-dn", "user-guid"]),
    ("wl-proxy-", &["client-ip", "client-cert", "ssl"]),
    ("impersonate-", &["user", "group", "uid"]),
    ("x-hasura-", &["role", "user-id", "admin-secret", "allowed-roles"]),
    ("teleport-", &["jwt-assertion"]),
    ("x-replit-user-", &["id", "name", "roles"]),
    ("x-envoy-", &["external-address", "original-path", "original-host", "internal", "peer-metadata"]),
    ("x-middleware-", &["subrequest", "rewrite", "next", "prefetch"]),
    ("x-invoke-", &["path", "query", "output", "status"]),
    ("x-matched-", &["path"]),
];

/// Names of such families that tell nothing of the kind: what runs at the client, not who.
pub const HARMLESS: &[&str] = &["x-user-agent"];

/// Of fields that go on to the upstream, those that are judged before: `Connection` must not take them away again.
pub const JUDGED_AND_PASSED: &[&str] =
    &["content-type", "content-encoding", "accept-encoding", "last-event-id"];
/// The same for all whose names begin so.
pub const JUDGED_FAMILY: &str = "mcp-";

/// What must not reach the upstream from a client, nor a decision that is asked for on its behalf.
pub fn telling() -> impl Iterator<Item = FieldPattern> {
    let families = FAMILIES.iter().map(|(beginning, _)| FieldPattern::beginning(beginning));
    TELLING.iter().copied().map(FieldPattern::name).chain(families)
}

/// The same in full names alone, as far as they are known.
pub fn telling_by_name() -> impl Iterator<Item = String> {
    let members = |(beginning, known): &(&str, &[&str])| {
        let beginning = (*beginning).to_owned();
        known.iter().map(move |rest| format!("{beginning}{rest}")).collect::<Vec<_>>()
    };
    TELLING.iter().copied().map(str::to_owned).chain(FAMILIES.iter().flat_map(members))
}

/// What a decision is made by, and must not reach the upstream either.
pub fn judged_here() -> impl Iterator<Item = FieldPattern> {
    JUDGED_HERE.iter().copied().map(FieldPattern::name).chain([FieldPattern::beginning(KEYS.0)])
}

/// The same in full names alone.
pub fn judged_here_by_name() -> impl Iterator<Item = String> {
    let keys = KEYS.1.iter().map(|rest| format!("{}{rest}", KEYS.0));
    JUDGED_HERE.iter().copied().map(str::to_owned).chain(keys)
}
