//! Records read, checked and written again, per format. Throughput is in records.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use joold::session::{
    Format, Identity, Prefix, Protocol, Session, State, Timeouts, Timer, parse_run,
};

/// Records in a run: what one JOOLD_ADD takes, and more than a core's first cache holds.
const RECORDS: usize = 1500;

fn run(format: Format) -> Vec<u8> {
    let mut run = Vec::new();
    for number in 0..RECORDS {
        let port = u16::try_from(number).unwrap_or(0);
        let id = Identity {
            src6: "2001:db8::8"
                .parse()
                .unwrap_or(std::net::Ipv6Addr::LOCALHOST),
            src6_port: port,
            src4: Ipv4Addr::new(198, 51, 100, 1),
            src4_port: port,
            dst4: Ipv4Addr::new(192, 0, 2, 8),
            dst4_port: 443,
            protocol: Protocol::Tcp,
        };
        let lifetime = 7_200_000 - u32::from(port);
        let session = Session {
            id,
            state: State::Established,
            timer: Timer::Established,
            lifetime,
        };
        format.write(&session, &Prefix::WELL_KNOWN, &mut run);
    }
    run
}

fn records(c: &mut Criterion) {
    let mut group = c.benchmark_group("read, check, write");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let timeouts = Timeouts::default();
    for from in Format::ALL {
        let input = run(from);
        for to in Format::ALL {
            let mut output = Vec::with_capacity(RECORDS * to.length());
            group.bench_function(
                BenchmarkId::from_parameter(format!("{from} to {to}")),
                |b| {
                    b.iter(|| {
                        output.clear();
                        parse_run(black_box(&input), &Prefix::WELL_KNOWN, |record| {
                            if let Ok(session) = record {
                                to.write(
                                    &session.clamped(&timeouts),
                                    &Prefix::WELL_KNOWN,
                                    &mut output,
                                );
                            }
                        });
                        black_box(&output);
                    });
                },
            );
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = records
}
criterion_main!(benches);
