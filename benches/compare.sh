#!/usr/bin/env bash
# The whole program beside other tools on one capture, in one run: wall time, ratios, peak memory.
#
#   benches/compare.sh CAPTURE.pcap [RUNS]
#
# Tools that are not installed are named and left out. The page cache is warmed first.
set -euo pipefail
capture=${1:?usage: compare.sh CAPTURE.pcap [RUNS]}
runs=${2:-5}
cargo build --release --quiet
lastack=target/release/lastack
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cat "$capture" >/dev/null

# Median wall seconds and the largest peak of resident memory of a command.
measure() {
    for _ in $(seq "$runs"); do
        /usr/bin/time -f '%e %M' -a -o "$out/times" "$@" >/dev/null 2>&1 || true
    done
    sort -n "$out/times" | awk '{ t[NR] = $1; if ($2 > m) m = $2 } END { printf "%s %d", t[int((NR + 1) / 2)], m / 1024 }'
    rm -f "$out/times"
}

bytes=$(stat -c %s "$capture")
base=$(measure cat "$capture")
base=${base% *}
printf '| command | wall s | times cat | MB/s | peak MiB |\n|---|---|---|---|---|\n'
row() {
    local name=$1 seconds peak
    shift
    if ! command -v "$1" >/dev/null; then
        printf '| %s | not installed | | | |\n' "$name"
        return
    fi
    read -r seconds peak <<<"$(measure "$@")"
    awk -v n="$name" -v s="$seconds" -v p="$peak" -v b="$bytes" -v c="$base" \
        'BEGIN { if (s < 0.001) s = 0.001; if (c < 0.001) c = 0.001; printf "| %s | %.3f | %.1f | %.0f | %d |\n", n, s, s / c, b / s / 1e6, p }'
}
row 'cat' cat "$capture"
row 'lastack analyze, 1 thread' "$lastack" analyze "$capture" --format json -o "$out/one" --quiet -j 1
row 'lastack analyze, 2 threads' "$lastack" analyze "$capture" --format json -o "$out/two" --quiet -j 2
row 'tshark conv,tcp' tshark -r "$capture" -q -z conv,tcp
row 'tcptrace' tcptrace -n "$capture"
mkdir -p "$out/nf"
row 'nfpcapd' nfpcapd -r "$capture" -l "$out/nf"
row 'argus' argus -r "$capture" -w "$out/argus"
