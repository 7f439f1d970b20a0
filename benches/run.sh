#!/bin/sh
# Every number of benches/README.md, on this machine, now: `make bench`. Twelve minutes after the build; whatever else
# runs meanwhile is in the numbers, so the load is printed first and last.
set -eu
cd "$(dirname "$0")/.."

opus=""
pkg-config --exists opus 2>/dev/null && opus=",opus"
features="sim,gateway,load$opus"

cargo build --release --no-default-features --features daemon
cargo bench --no-default-features --features "$features" --no-run

echo "== machine"
sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sort | uniq -c
uname -srm
rustc --version
echo "load: $(cut -d' ' -f1-3 /proc/loadavg)"

for bench in feel conversation frame codec resample turn interruption vad sim memory daemon doors echo_floor crowd; do
    [ -f "benches/$bench.rs" ] || [ -d "benches/$bench" ] || continue
    echo
    echo "== $bench"
    # Divan prints the fastest, the slowest, the median and the mean of its samples.
    DIVAN_MAX_TIME=${DIVAN_MAX_TIME:-0.5} cargo bench --quiet --no-default-features --features "$features" --bench "$bench"
done
echo
echo "load: $(cut -d' ' -f1-3 /proc/loadavg)"
