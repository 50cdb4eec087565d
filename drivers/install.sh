#!/usr/bin/env bash
# Brings what tabfleet drives and links, and builds the harness pages. Says what it does; done again, does nothing.
set -euo pipefail

usage() {
    cat <<'TEXT'
drivers/install.sh [--minimal]

Brings everything that tabfleet needs on this machine:
  - DuckDB's library, to drivers/lib (an npm package, checked against the lock file)
  - the harness pages' packages, and builds the pages
  - Chromium, Firefox and WebKitGTK, where they are missing (apt, on Debian and Ubuntu)
  - a stand-in for Edge, where there is no Edge, to drivers/browsers/edge-stand-in (Linux x64; an npm package, too)
  - geckodriver, to drivers/bin (built by cargo, and kept in the user's cache)
It changes nothing that is there already.

  --minimal   bring no browsers; what is already there is used
  --help      this text

Before it: a Rust toolchain, a C linker, Node 20 or later, npm.
TEXT
}

minimal=no
for argument in "$@"; do
    case $argument in
        --minimal) minimal=yes ;;
        --help | -h) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
done

geckodriver_version=0.37.1
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tabfleet
pages=$project/harness-pages
left=()
scratch=
trap '[[ -z $scratch ]] || rm -rf "$scratch"' EXIT

say() { printf '%-22s %s\n' "$1" "$2"; }
stop() { printf 'drivers/install.sh: %s\n' "$1" >&2 && exit 1; }
have() { command -v "$1" >/dev/null; }
have_any() {
    local name
    for name in "$@"; do
        if have "$name"; then return; fi
    done
    return 1
}
# What this script cannot do is told at the end, where it is seen.
leave() { left+=("$1"); }

have_edge() { have_any microsoft-edge-stable microsoft-edge msedge || [[ -e /opt/microsoft/msedge/msedge ]]; }
have_firefox() { have_any firefox firefox-esr || [[ -e /Applications/Firefox.app ]]; }
have_chrome() {
    have_any google-chrome-stable google-chrome chrome chromium chromium-browser ||
        [[ -e '/Applications/Google Chrome.app' || -e /Applications/Chromium.app ]]
}

check_tools() {
    have cargo || stop 'cargo is missing: install a Rust toolchain (rustup.rs)'
    have cc || stop 'a C linker is missing: install gcc or clang'
    have node || stop 'node is missing: install Node 20 or later, with npm'
    local node_version && node_version=$(node --version)
    local major=${node_version#v} && major=${major%%.*}
    ((major >= 20)) || stop "Node 20 or later is needed, and this is $node_version"
    have npm || stop 'npm is missing: it comes with most installations of Node'
}

# A folder's packages are in step when the lock file that they were installed from is the one that is here now.
install_packages() {
    local folder=$1 omit=${2:-} of
    of="$folder packages"
    local lock=$project/$folder/package-lock.json stamp=$project/$folder/node_modules/.tabfleet-lock
    [[ -f $lock ]] || stop "$lock is missing: is this a whole checkout?"
    # What is there with development packages serves without them, too.
    if cmp -s "$lock" "$stamp" || { [[ -n $omit ]] && cmp -s "$lock" "$stamp$omit"; }; then
        say "$of" 'in step with the lock file'
        return
    fi
    say "$of" 'npm ci …'
    (cd "$project/$folder" && npm ci ${omit:+"--omit=$omit"} --no-audit --no-fund --loglevel=error </dev/null) ||
        stop 'npm ci failed: its own message is above'
    cp "$lock" "$stamp$omit"
}

build_pages() {
    local built=$pages/node_modules/.tabfleet-built
    if [[ -f $built && -f $pages/dist/index.html && -z $(newer_sources "$built") ]]; then
        say 'harness pages' 'built'
        return
    fi
    say 'harness pages' 'npm run build …'
    # The time of the start, so that a source saved during the build is seen as newer.
    touch "$built.new"
    (cd "$pages" && npm run --silent build </dev/null) || stop 'the harness pages could not be built: see above'
    mv "$built.new" "$built"
}

newer_sources() {
    find "$pages" \( -name node_modules -o -name dist -o -name test \) -prune -o -type f -newer "$1" -print
}

system() {
    local os cpu
    os=$(uname -s | tr '[:upper:]' '[:lower:]')
    cpu=$(uname -m)
    case $cpu in
        x86_64 | amd64) cpu=x64 ;;
        aarch64 | arm64) cpu=arm64 ;;
    esac
    printf '%s-%s' "$os" "$cpu"
}

link_duckdb() {
    local name=libduckdb.so
    [[ $(uname -s) == Darwin ]] && name=libduckdb.dylib
    local from to=$project/drivers/lib/$name
    from=$project/drivers/node_modules/@duckdb/node-bindings-$(system)/$name
    if [[ ! -f $from ]]; then
        say DuckDB "no library for $(system) among the npm packages"
        leave 'DuckDB: build with --features bundled-duckdb (it is then compiled, which takes half an hour)'
        return
    fi
    if [[ $to -ef $from ]] || cmp -s "$from" "$to"; then
        say DuckDB "drivers/lib/$name"
        return
    fi
    say DuckDB "linking drivers/lib/$name"
    mkdir -p "$project/drivers/lib"
    # A hard link takes no room, and outlives the package's folder; across file systems there is none.
    ln -f "$from" "$to.new" 2>/dev/null || cp "$from" "$to.new"
    mv -f "$to.new" "$to"
}

install_browsers() {
    local packages=()
    have_chrome || packages+=(chromium)
    have_firefox || packages+=(firefox)
    if [[ $(uname -s) == Linux ]]; then
        have WebKitWebDriver || packages+=(webkit2gtk-driver)
        have Xvfb || packages+=(xvfb)
        # Software Vulkan, for Firefox's WebGPU where there is no GPU.
        compgen -G '/usr/share/vulkan/icd.d/lvp_icd*' >/dev/null || packages+=(mesa-vulkan-drivers)
    fi
    if ((${#packages[@]} == 0)); then
        say browsers 'all here'
    elif [[ $minimal == yes ]]; then
        say browsers "without ${packages[*]}, as --minimal asks"
    elif have apt-get; then
        install_by_apt "${packages[@]}"
    else
        say browsers "not here: ${packages[*]}"
        leave "browsers: install those that you want in the fleet: ${packages[*]}"
    fi
}

install_by_apt() {
    local packages=() package root=()
    for package in "$@"; do
        if [[ $package == chromium || $package == firefox ]] && grep -q '^ID=ubuntu' /etc/os-release; then
            # Ubuntu's packages of these names only fetch a snap, which containers cannot run.
            leave "$package: snap install $package, or its maker's own package"
        elif [[ $package == firefox ]]; then
            packages+=(firefox-esr)
        else
            packages+=("$package")
        fi
    done
    ((${#packages[@]})) || return 0
    if ((EUID != 0)); then
        if have sudo && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
            root=(sudo)
        else
            leave "browsers: as root, apt-get install --no-install-recommends ${packages[*]}"
            return 0
        fi
    fi
    root+=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
    say browsers "apt-get install ${packages[*]} …"
    scratch=$(mktemp)
    if ! { "${root[@]}" update && "${root[@]}" install -y --no-install-recommends "${packages[@]}"; } \
        </dev/null >"$scratch" 2>&1; then
        tail -n 30 "$scratch" >&2
        stop 'apt-get failed: its last words are above'
    fi
    rm -f "$scratch"
    scratch=
}

# Chromium's headless shell out of an npm package: it fills Edge's slot, marked as a stand-in, and has WebNN.
install_edge_stand_in() {
    local package=$project/drivers/node_modules/@sparticuz/chromium to=$project/drivers/browsers/edge-stand-in
    local version
    if have_edge; then
        say Edge 'here'
        return
    elif [[ $(system) != linux-x64 ]]; then
        say Edge "not here, and there is no stand-in for $(system)"
        leave 'Edge: microsoft.com/edge has it'
        return
    elif [[ $minimal == yes ]]; then
        say Edge 'whatever is there, as --minimal asks'
        return
    fi
    version=$(sed -n 's/^ *"version": "\(.*\)",*$/\1/p' "$package/package.json")
    if [[ $(cat "$to/VERSION" 2>/dev/null) == "$version" ]]; then
        say Edge "stand-in $version"
        return
    fi
    say Edge "unpacking the stand-in, Chromium $version …"
    mkdir -p "${to%/*}"
    scratch=$(mktemp -d "$to.XXXXXX")
    unbrotli "$package/bin/chromium.br" >"$scratch/chromium"
    unbrotli "$package/bin/swiftshader.tar.br" | tar -x --no-same-owner -C "$scratch" -f -
    chmod 755 "$scratch" "$scratch/chromium"
    local missing && missing=$(ldd "$scratch/chromium" | awk '/not found/ { print $1 }' | sort -u | tr '\n' ' ')
    if [[ -n $missing ]]; then
        leave "Edge's stand-in: libraries are missing (Debian's chromium package brings them): $missing"
    elif ! "$scratch/chromium" --version >/dev/null; then
        leave "Edge's stand-in: it does not start on this machine"
    fi
    printf '%s\n' "$version" >"$scratch/VERSION"
    rm -rf "$to"
    mv "$scratch" "$to"
    scratch=
}

unbrotli() {
    node -e '
        const { createReadStream } = require("node:fs");
        const { createBrotliDecompress } = require("node:zlib");
        const { pipeline } = require("node:stream");
        const done = (error) => { if (error) { console.error(error.message); process.exit(1); } };
        pipeline(createReadStream(process.argv[1]), createBrotliDecompress(), process.stdout, done);
    ' "$1"
}

install_geckodriver() {
    local to=$project/drivers/bin/geckodriver
    local kept && kept=$cache/geckodriver-$geckodriver_version-$(system)/bin/geckodriver
    if ! have_firefox; then
        say geckodriver 'not needed: there is no Firefox'
        return
    fi
    if [[ ! -x $kept ]]; then
        say geckodriver "cargo install geckodriver $geckodriver_version (once on this machine) …"
        mkdir -p "$cache"
        scratch=$(mktemp -d "$cache/geckodriver-target.XXXXXX")
        cargo install --quiet --locked geckodriver --version "$geckodriver_version" --no-track \
            --root "${kept%/bin/geckodriver}" --target-dir "$scratch" </dev/null ||
            stop 'geckodriver could not be built: see above'
        rm -rf "$scratch"
        scratch=
    fi
    if cmp -s "$kept" "$to"; then
        say geckodriver "$geckodriver_version"
        return
    fi
    say geckodriver "$geckodriver_version, to drivers/bin"
    mkdir -p "${to%/*}"
    cp "$kept" "$to.new"
    mv -f "$to.new" "$to"
}

check_tools
# The stand-in for Edge is a development package of drivers/, which --minimal leaves out.
if [[ $minimal == yes ]]; then install_packages drivers dev; else install_packages drivers; fi
link_duckdb
install_packages harness-pages
build_pages
install_browsers
install_edge_stand_in
install_geckodriver

if ((${#left[@]})); then
    printf '\nLeft for you:\n'
    printf '  - %s\n' "${left[@]}"
fi
