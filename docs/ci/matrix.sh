#!/usr/bin/env bash
# The steps of a nightly matrix, for every CI the same: docs/ci/README.md. Each is run by name:
#
#   matrix.sh build            brings tabfleet, and no browsers; done again, does nothing
#   matrix.sh install          the same with browsers and drivers, and says which targets work
#   matrix.sh shard 2/4        runs one share of the cases
#   matrix.sh merge            joins the shares to one report, and writes it in every form
#   matrix.sh judge            exits with 1 when something is unexpected, with 3 when something got much slower, with 4 when
#                              a target was lost
#
# What is run is up to these, with what they default to. (Variables that begin with TABFLEET_ are tabfleet's settings.)
set -euo pipefail

: "${MATRIX_TABFLEET_DIR:=tabfleet}"                   # the checkout of tabfleet
: "${MATRIX_TABFLEET:=$MATRIX_TABFLEET_DIR/target/release/tabfleet}"
: "${MATRIX_SUITES:=}"                          # folders of cases, separated by spaces; none: the built-in suite
: "${MATRIX_TARGETS:=all}"
: "${MATRIX_OPTIONS:=}"                         # more options of `tabfleet matrix`, separated by spaces
: "${MATRIX_EXPECTATIONS:=expectations.toml}"   # used where it is there
: "${MATRIX_OUT:=matrix}"                       # the shares' reports, and the whole in every form
: "${MATRIX_PAST:=matrix-past}"                 # kept from night to night: earlier reports and the history
: "${MATRIX_FAIL_ON:=severe}"                   # the least regression that fails the night
: "${MATRIX_WEBHOOK:=}"                         # where what changed is posted to (http)

build() {
    if [[ -x $MATRIX_TABFLEET ]]; then return; fi
    "$MATRIX_TABFLEET_DIR/drivers/install.sh" --minimal
    (cd "$MATRIX_TABFLEET_DIR" && cargo build --release --locked)
}

install() {
    # What a cache brings back is tabfleet, and not the packages of the system.
    "$MATRIX_TABFLEET_DIR/drivers/install.sh"
    build
    "$MATRIX_TABFLEET" doctor --targets "$MATRIX_TARGETS"
}

# Words are meant to be split here, and only here.
words() {
    # shellcheck disable=SC2206
    WORDS=($1)
}

expectations() {
    WORDS=()
    if [[ -e $MATRIX_EXPECTATIONS ]]; then WORDS=(--expectations "$MATRIX_EXPECTATIONS"); fi
}

shard() {
    local share=$1 arguments
    mkdir -p "$MATRIX_OUT"
    words "$MATRIX_SUITES" && arguments=("${WORDS[@]}")
    words "$MATRIX_OPTIONS" && arguments+=("${WORDS[@]}")
    expectations && arguments+=("${WORDS[@]}")
    # A case that fails is for `judge` to speak of, once, for all shares together. What keeps a share from running at all
    # (no browser, a wrong option) ends this step.
    "$MATRIX_TABFLEET" matrix "${arguments[@]}" --targets "$MATRIX_TARGETS" --shard "$share" --previous "$MATRIX_PAST/reports" \
        --json "$MATRIX_OUT/shard-${share%/*}.json" --no-fail --no-github
}

merge() {
    local night webhook=()
    night=$(date -u +%Y-%m-%dT%H-%M-%SZ)
    mkdir -p "$MATRIX_PAST/reports"
    if [[ -n $MATRIX_WEBHOOK ]]; then webhook=(--webhook "$MATRIX_WEBHOOK"); fi
    "$MATRIX_TABFLEET" matrix merge "$MATRIX_OUT"/shard-*.json --previous "$MATRIX_PAST/reports" \
        --history "$MATRIX_PAST/history.duckdb" --json "$MATRIX_OUT/matrix.json" --junit "$MATRIX_OUT/junit.xml" \
        --html "$MATRIX_OUT/site" --markdown "$MATRIX_OUT/summary.md" --badges "$MATRIX_OUT/site/badges" \
        --wptreport "$MATRIX_OUT/site/wptreport" --no-fail "${webhook[@]}"
    # For the nights to come.
    cp "$MATRIX_OUT/matrix.json" "$MATRIX_PAST/reports/$night.json"
}

judge() {
    # Merged with nothing it is the same report, and its exit code says whether something was unexpected, or not tried.
    local code=0
    "$MATRIX_TABFLEET" matrix merge "$MATRIX_OUT/matrix.json" --targets "$MATRIX_TARGETS" --no-github \
        >"$MATRIX_OUT/judged.txt" || code=$?
    if ((code)); then tail -n 1 "$MATRIX_OUT/judged.txt" && exit "$code"; fi
    "$MATRIX_TABFLEET" history regressions --history "$MATRIX_PAST/history.duckdb" --fail-on "$MATRIX_FAIL_ON"
}

case ${1:-} in
    build | install | merge | judge) "$1" ;;
    shard) shard "${2:?which share, such as 1/4}" ;;
    *) printf 'usage: matrix.sh build | install | shard I/N | merge | judge\n' >&2 && exit 2 ;;
esac
