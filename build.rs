//! Finds what `drivers/install.sh` fetched: DuckDB's library to link, and the built harness pages to embed.
//!
//! The library is linked from here, and not through libduckdb-sys's own `DUCKDB_LIB_DIR`, so that the DuckDB crates do
//! not depend on where the checkout lies: a cached target folder serves every checkout. `DUCKDB_LIB_DIR`, when set,
//! still says where the library is.
//!
//! `cargo install --path .` works once `drivers/install.sh` has run, and the installed program finds the library in
//! this checkout for as long as it stays. What is to outlive the checkout is installed with
//! `--features bundled-duckdb`, or has the library beside it or in `../lib`.

use std::path::{Path, PathBuf};
use std::{env, fs, io, process};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let project = PathBuf::from(cargo("CARGO_MANIFEST_DIR"));

    let pages = project.join("harness-pages/dist");
    // The whole folder, because pages are embedded by name: a new file changes no file that was there.
    println!("cargo::rerun-if-changed={}", pages.display());
    if !pages.join("index.html").is_file() {
        stop("the harness pages are not built: run drivers/install.sh first");
    }
    if env::var_os("CARGO_FEATURE_BUNDLED_DUCKDB").is_none() {
        link_duckdb(&project);
    }
}

fn link_duckdb(project: &Path) {
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    let folder = env::var_os("DUCKDB_LIB_DIR").map_or_else(|| project.join("drivers/lib"), |dir| project.join(dir));
    let file = match cargo("CARGO_CFG_TARGET_OS").as_str() {
        "macos" => "libduckdb.dylib",
        "windows" => "duckdb.lib",
        _ => "libduckdb.so",
    };
    let library = folder.join(file);
    println!("cargo::rerun-if-changed={}", library.display());
    if !library.is_file() {
        stop(&format!(
            "DuckDB is not at {}: run drivers/install.sh first (or build with --features bundled-duckdb, which takes half an hour)",
            library.display()
        ));
    }
    println!("cargo::rustc-link-search=native={}", folder.display());
    if file == "duckdb.lib" {
        return;
    }

    // Cargo tells doctests, to which link arguments do not apply, of libraries in the build's own output only.
    let linked = PathBuf::from(cargo("OUT_DIR"));
    if let Err(error) = replace_link(&library, &linked.join(file)) {
        stop(&format!("cannot link {} into {}: {error}", library.display(), linked.display()));
    }
    println!("cargo::rustc-link-search=native={}", linked.display());

    let beside = if file.ends_with(".dylib") { "@executable_path" } else { "$ORIGIN" };
    for path in [folder.display().to_string(), beside.into(), format!("{beside}/../lib")] {
        // Not -Wl,-rpath,PATH: that breaks on a path with a comma.
        for argument in ["-Xlinker", "-rpath", "-Xlinker", &path] {
            println!("cargo::rustc-link-arg={argument}");
        }
    }
}

fn replace_link(target: &Path, link: &Path) -> io::Result<()> {
    match fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    #[cfg(unix)]
    return std::os::unix::fs::symlink(target, link);
    #[cfg(not(unix))]
    return fs::copy(target, link).map(drop);
}

fn cargo(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| stop(&format!("cargo did not set {name}")))
}

fn stop(sentence: &str) -> ! {
    println!("cargo::error={sentence}");
    process::exit(1)
}
