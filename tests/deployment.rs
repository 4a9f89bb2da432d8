//! The unit of systemd and the file of a container: they hold what they promise, with the real binary.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that finds what it did not expect has failed")]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const BINARY: &str = env!("CARGO_BIN_EXE_portcullis");
const UNIT: &str = include_str!("../assets/portcullis.service");
const CONTAINERFILE: &str = include_str!("../assets/Containerfile");
const INSTALLED: &str = "/usr/local/bin/portcullis";
/// A server that nobody asks anything.
const UPSTREAM: &str = "http://127.0.0.1:9/mcp";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Starts what serves, reads that it does, and ends it as systemd and containers do.
fn assert_serves(command: &mut Command) {
    let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let said: Vec<_> = lines.by_ref().take(2).map_while(Result::ok).collect();
    // Before anything is asserted: a gateway that nobody ends outlives the test.
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .expect("it is alive");
    let ended = child.wait().expect("it ends");
    assert!(
        said.len() == 2 && said.iter().all(|line| line.starts_with("listening on http://127.0.0.1:")),
        "{said:?}"
    );
    assert!(ended.success());
}

#[test]
fn the_unit_is_one_that_systemd_takes_and_gives_little_away() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        let message = "there is no systemd-analyze here; `.ci/run` installs it";
        assert!(std::env::var_os("PORTCULLIS_REQUIRE_PEERS").is_none(), "{message}");
        eprintln!("SKIPPED: {message}");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let unit = folder.path().join("portcullis.service");
    // It looks whether the program is there.
    fs::write(&unit, UNIT.replace(INSTALLED, BINARY)).expect("a file");
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&unit).output().expect("it runs");
        let told = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&told).into_owned())
    };
    assert_eq!(analyze(&["verify", "--man=no"]), (true, String::new()));
    // In tenths; a unit without any of it has 96.
    let (is_below, told) = analyze(&["security", "--offline=true", "--no-pager", "--threshold=20"]);
    assert!(is_below, "{told}");
    fs::write(
        &unit,
        UNIT.replace(INSTALLED, BINARY).replace("ProtectSystem=strict", "ProtectSystem=strictly"),
    )
    .expect("a file");
    assert_ne!(analyze(&["verify", "--man=no"]).1, "", "what is misspelt would be told");
}

#[test]
fn the_command_of_the_unit_serves() {
    let line = UNIT.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[0], INSTALLED);
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("portcullis.toml");
    let listen = "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n";
    fs::write(&config, format!("[serve]\nupstream = \"{UPSTREAM}\"\n{listen}")).expect("a file");
    let words = words[1..]
        .iter()
        .map(|word| if word.starts_with('/') { config.to_str().expect("UTF-8") } else { word });
    assert_serves(Command::new(BINARY).args(words).env("PORTCULLIS_HOME", folder.path().join("home")));
}

#[test]
fn the_container_is_built_from_what_there_is() {
    let mut copied = 0;
    for line in CONTAINERFILE.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["COPY", from, place] if from.starts_with("--from") => panic!("{from} {place}"),
            ["COPY", "--from=build", from, to] => {
                assert_eq!((*from, *to), ("/src/target/dist/portcullis", INSTALLED));
            }
            ["COPY", files @ .., _] => {
                for file in files {
                    assert!(root().join(file).exists(), "{file}");
                    copied += 1;
                }
            }
            _ => {}
        }
    }
    assert!(copied > 5, "the lines were not found");
    let manifest = include_str!("../Cargo.toml");
    assert!(CONTAINERFILE.contains("--profile dist") && manifest.contains("[profile.dist]"));
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).expect("a version");
    assert!(CONTAINERFILE.contains(&format!("rust:{}-", version.trim_matches('"'))), "{version}");
    assert!(CONTAINERFILE.contains(&format!("ENTRYPOINT [\"{INSTALLED}\"]")));
    // What is compiled in lies in what is copied.
    for line in ["COPY src src", "COPY assets assets"] {
        assert!(CONTAINERFILE.lines().any(|found| found == line), "{line}");
    }
}

/// The shared libraries of the binary, and the loader (ldd(1)).
fn libraries() -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(BINARY).output().expect("ldd runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

/// Which setting of this kernel keeps everybody but root from a user namespace, where one does.
fn users_have_no_worlds_of_their_own() -> Option<String> {
    [
        ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
        ("/proc/sys/user/max_user_namespaces", "0"),
    ]
    .into_iter()
    .find(|(setting, forbids)| fs::read_to_string(setting).is_ok_and(|found| found.trim() == *forbids))
    .map(|(setting, forbids)| format!("{setting} is {forbids}"))
}

/// A folder that holds the binary, by this path, and its libraries.
fn bare_root(binary: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let inside = |path: &Path| folder.path().join(path.strip_prefix("/").expect("an absolute path"));
    let libraries = libraries().into_iter().map(|file| (inside(&file), file));
    for (to, file) in libraries.chain([(inside(Path::new(binary)), BINARY.into())]) {
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(file, &to).expect("a copy");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    folder
}

#[test]
fn it_runs_where_there_is_nothing_but_itself_and_its_libraries() {
    let folder = bare_root("/portcullis");
    // As the only user of a world of its own, as in a container; root needs none for it.
    let within = |way: &[&str], arguments: &[&str]| {
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).arg(folder.path());
        command
            .args(["/portcullis", "--home", "/home"])
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    };
    let works =
        |way: &&&[&str]| within(way, &["--version"]).output().is_ok_and(|output| output.status.success());
    let ways: [&[&str]; 2] = [&["unshare", "--user", "--map-root-user", "chroot"], &["chroot"]];
    let Some(way) = ways.iter().find(works) else {
        let forbidden = users_have_no_worlds_of_their_own();
        let message = "no world of its own can be made here; run it as root, or where `unshare --user` works";
        assert!(
            std::env::var_os("PORTCULLIS_REQUIRE_PEERS").is_none() || forbidden.is_some(),
            "{message}: {:?}",
            within(ways[0], &["--version"]).output()
        );
        eprintln!("SKIPPED: {message}; {}", forbidden.unwrap_or_default());
        return;
    };
    let within = |arguments: &[&str]| within(way, arguments);
    let run = |arguments: &[&str]| {
        let output = within(arguments).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &told)
    };
    for arguments in [
        &["key", "create", "--subject", "a", "--scope", "mcp:*"][..],
        &["status"],
        &["audit", "verify"],
        &["doctor"],
    ] {
        let (code, told) = run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {told}");
    }
    let listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    assert_serves(&mut within(&[&["serve", "--upstream", UPSTREAM], &listen[..]].concat()));
}

/// As a container with a read-only root does it, and before the gateway other commands, as in `podman exec`.
const CONTAINER: &str = r#"
set -e
root=$1 home=$2 user=$3
shift 3
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o "mode=0700,uid=$user,gid=$user,size=256m" tmpfs "$root$home"
within() { chroot --userspec="$user:$user" --groups= "$root" /usr/local/bin/portcullis "$@"; }
{
    within key create --subject a --scope 'mcp:*' --out "$home/a.key"
    within status
    within audit verify
    within doctor
    within backup "$home/copy" --without-vault
} >&2
if within key create --subject a --scope 'mcp:*' --out /a.key >&2; then exit 9; fi
exec chroot --userspec="$user:$user" --groups= "$root" /usr/local/bin/portcullis "$@"
"#;

#[test]
fn a_container_serves_as_its_user_on_a_root_that_nobody_can_write_to() {
    let home = CONTAINERFILE.lines().find_map(|line| line.strip_prefix("VOLUME ")).expect("a volume");
    assert!(CONTAINERFILE.contains(&format!("ENV PORTCULLIS_HOME={home}\n")));
    let (_, user) = CONTAINERFILE.split_once("--uid ").expect("a user");
    let user = user.split(' ').next().expect("a number");
    let root = bare_root(INSTALLED);
    fs::create_dir_all(root.path().join(home.trim_start_matches('/'))).expect("a folder");
    // Where nothing may be mounted, whether that is so is not for this test to say.
    let mount = ["--mount", "sh", "-c", "mount --bind \"$0\" \"$0\""];
    let may = Command::new("unshare").args(mount).arg(root.path()).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: nothing can be mounted here: it takes root and the right to mount");
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", CONTAINER, "sh"]).arg(root.path()).args([home, user]);
    command.args([
        "serve",
        "--upstream",
        UPSTREAM,
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
    ]);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("PORTCULLIS_HOME", home);
    assert_serves(&mut command);
}

/// The system calls of a group of systemd's, and of the groups within it.
fn calls_of(group: &str) -> BTreeSet<String> {
    let output = Command::new("systemd-analyze").args(["--no-pager", "syscall-filter", group]).output();
    let text = String::from_utf8(output.expect("it runs").stdout).expect("UTF-8");
    let mut all = BTreeSet::new();
    for word in text.lines().skip(1).map(str::trim).filter(|word| !word.is_empty() && !word.starts_with('#'))
    {
        if word.starts_with('@') {
            all.extend(calls_of(word))
        } else {
            all.insert(word.to_owned());
        }
    }
    all
}

#[test]
fn it_asks_nothing_of_the_kernel_that_the_unit_keeps_from_it() {
    let filter = |prefix| UNIT.lines().find_map(|line: &str| line.strip_prefix(prefix)).expect("a filter");
    // As a user of its own, as the unit runs it: for root SQLite asks for more.
    let (folder, home) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (log, binary) = (folder.path().join("log"), folder.path().join("portcullis"));
    fs::copy(BINARY, &binary).expect("a copy");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let _ = std::os::unix::fs::chown(home.path(), Some(65534), Some(65534));
    let traced = |arguments: &[&str]| {
        let mut command = Command::new("strace");
        command.args(["-u", "nobody", "-D", "-f", "-qq", "-o"]).arg(&log).arg(&binary).args(arguments);
        command.env("PORTCULLIS_HOME", home.path().join("home"));
        command
    };
    let probe = traced(&["key", "create", "--subject", "a", "--scope", "mcp:*"]).output();
    let tools =
        ["systemd-analyze", "strace"].map(|tool| Command::new(tool).arg("--version").output().is_ok());
    if tools != [true; 2] || !probe.is_ok_and(|output| output.status.success()) {
        let message = "it takes systemd-analyze, and strace with the right to trace as another user";
        assert!(std::env::var_os("PORTCULLIS_REQUIRE_PEERS").is_none(), "{message}");
        eprintln!("SKIPPED: {message}");
        return;
    }
    let forbidden = calls_of(filter("SystemCallFilter=~"));
    let allowed = &calls_of(filter("SystemCallFilter=")) - &forbidden;
    assert!(allowed.contains("read") && !allowed.contains("chown") && forbidden.contains("chown"));
    let mut text = fs::read_to_string(&log).expect("a log");
    let listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    assert_serves(&mut traced(&[&["serve", "--upstream", UPSTREAM], &listen[..]].concat()));
    text += &fs::read_to_string(&log).expect("a log");
    let mut asked = BTreeSet::new();
    let families: Vec<&str> = filter("RestrictAddressFamilies=").split(' ').collect();
    for line in text.lines() {
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let Some((name, arguments)) = call.split_once('(') else { continue };
        if name.starts_with('<') || name.starts_with('+') || name.starts_with('-') {
            continue;
        }
        // The first is how strace starts it.
        assert!(allowed.contains(name) || name == "execve", "{line}");
        asked.insert(name.to_owned());
        let is_executable = arguments.contains("PROT_EXEC");
        assert!(!(name == "mprotect" && is_executable), "MemoryDenyWriteExecute: {line}");
        assert!(!(is_executable && arguments.contains("PROT_WRITE")), "MemoryDenyWriteExecute: {line}");
        assert!(!arguments.contains("CLONE_NEW"), "RestrictNamespaces: {line}");
        if name == "socket" {
            assert!(families.iter().any(|family| arguments.starts_with(family)), "{line}");
        }
    }
    assert!(asked.contains("listen") && asked.contains("fsync") && asked.len() > 30, "{asked:?}");
}
