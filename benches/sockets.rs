//! Writes a listing of sockets as `ss -tan` prints it, of as many rows as asked for, to standard output:
//!
//! `cargo bench --bench sockets -- 10000000 >ss-tan.txt`
//!
//! A busy server: two listeners, most rows TIME-WAIT and ESTABLISHED of far-away peers, some of its own connections to
//! a database, and a few of every other state. The same number gives the same bytes.

use std::io::{self, BufWriter, Write};

fn main() -> io::Result<()> {
    let rows: u64 = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(0);
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    if rows == 0 {
        return out.flush();
    }
    writeln!(out, "State      Recv-Q Send-Q        Local Address:Port          Peer Address:Port Process")?;
    for port in [443, 8080] {
        writeln!(out, "LISTEN     0      4096                0.0.0.0:{port:<5}            0.0.0.0:*          ")?;
    }
    // A fixed sequence that looks like none: Knuth's multiplier, modulo 2^64.
    let mut state = 1_u64;
    for _ in 0..rows {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        row(&mut out, state >> 16)?;
    }
    out.flush()
}

fn row(out: &mut impl Write, number: u64) -> io::Result<()> {
    let state = match number % 1000 {
        0..700 => "TIME-WAIT",
        700..960 => "ESTAB",
        960..980 => "SYN-RECV",
        980..990 => "FIN-WAIT-2",
        990..998 => "CLOSE-WAIT",
        _ => "LAST-ACK",
    };
    let peer = number >> 10;
    let (a, b, c) = (peer % 223 + 1, (peer >> 8) % 256, (peer >> 16) % 256);
    let port = 1024 + (peer >> 24) % 64_000;
    if number.is_multiple_of(50) {
        return writeln!(out, "{state:<10} 0      0             192.0.2.10:{port:<5}        198.51.100.7:3306       ");
    }
    let service = if number.is_multiple_of(3) { 8080 } else { 443 };
    writeln!(
        out,
        "{state:<10} 0      0             192.0.2.10:{service:<5}         {a}.{b}.{c}.{}:{port:<5}      ",
        peer % 254 + 1
    )
}
