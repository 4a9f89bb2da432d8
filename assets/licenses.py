#!/usr/bin/env python3
"""Writes assets/licenses.txt: what is compiled into portcullis, and under which licences. Run it when Cargo.lock changes:

    cargo fetch --locked && python3 assets/licenses.py

`cargo tree` says what is compiled in (dependencies of dependencies too, but not those of tests and build scripts), for each
system that portcullis runs on. The texts are the files that each crate ships, with those of the C code within it. One that
ships none has those of another crate of its repository. tests/licenses.rs holds the result against Cargo.lock.
"""

import collections
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGETS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "x86_64-unknown-linux-musl", "aarch64-apple-darwin"]
# A file of a licence, by its name.
TEXT = re.compile(r"(licen[cs]e|copying|notice|unlicense|copyright)([-_.].*)?", re.IGNORECASE)
NO_TEXT = {".rs", ".py", ".toml", ".json", ".html", ".c", ".h"}

HEAD = """\
Portcullis is licensed under Apache-2.0 or MIT, at your option. This is what is compiled into it, by others, with their
licences. The source of each crate, as it was built, is at https://crates.io/crates/NAME/VERSION.

Besides: the standard library of Rust (MIT OR Apache-2.0, and what its COPYRIGHT file says:
https://github.com/rust-lang/rust/blob/main/COPYRIGHT); SQLite in libsqlite3-sys, which is in the public domain
(https://sqlite.org/copyright.html); AWS-LC in aws-lc-sys and mimalloc in libmimalloc-sys, whose texts are below.

"""


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def compiled_in():
    """Name and version of every crate but portcullis itself."""
    found = set()
    for target in TARGETS:
        tree = cargo("tree", "--locked", "-e", "normal", "--target", target, "--prefix", "none", "--format", "{p}")
        for line in tree.splitlines():
            name, version = line.split()[:2]
            found.add((name, version.removeprefix("v")))
    return {crate for crate in found if crate[0] != "portcullis"}


def texts(folder):
    """The licences that a crate ships: beside its manifest, and in the C code within it."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and TEXT.fullmatch(path.name)]
    return [path for path in files if path.suffix not in NO_TEXT and "test" not in path.relative_to(folder).parts]


def main():
    packages = {}
    for target in TARGETS:
        metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", target))
        packages.update({(package["name"], package["version"]): package for package in metadata["packages"]})
    crates = sorted(compiled_in())
    files, siblings = {}, collections.defaultdict(list)
    for crate in crates:
        files[crate] = texts(pathlib.Path(packages[crate]["manifest_path"]).parent)
    for crate, package in packages.items():
        found = files.get(crate) or texts(pathlib.Path(package["manifest_path"]).parent)
        siblings[package["repository"]].extend(found if crate[0] != "portcullis" else [])
    shared = collections.OrderedDict()
    for crate in crates:
        found = files[crate] or siblings[packages[crate]["repository"]][:2]
        if not found:
            sys.exit(f"{crate[0]} {crate[1]} ships no licence, and nothing else of {packages[crate]['repository']} does")
        for path in found:
            text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").strip("\n")
            plain = " ".join(text.split())
            owners = shared.setdefault(plain, (text, []))[1]
            if crate not in owners:
                owners.append(crate)
    with open(ROOT / "assets" / "licenses.txt", "w", encoding="utf-8") as out:
        out.write(HEAD)
        for crate in crates:
            package = packages[crate]
            out.write(f"{crate[0]} {crate[1]} | {package['license']} | {package['repository']}\n")
        for text, owners in shared.values():
            out.write("\n" + "=" * 80 + "\n")
            names = " · ".join(f"{name} {version}" for name, version in owners)
            out.write(f"{names}\n\n{text}\n")


main()
