//! Frames as a stranger writes them.

pub(crate) fn head(kind: u8, node: u64, epoch: u64, clock: u64) -> Vec<u8> {
    let mut frame = b"\xff\xffjd\x02".to_vec();
    frame.push(kind);
    frame.extend([0, 0]);
    frame.extend(node.to_be_bytes());
    frame.extend(epoch.to_be_bytes());
    frame.extend(clock.to_be_bytes());
    frame
}

/// `logs`: node, epoch, position, last.
pub(crate) fn hello(
    node: u64,
    epoch: u64,
    clock: u64,
    last: u64,
    state: u8,
    logs: &[(u64, u64, u64, u64)],
) -> Vec<u8> {
    let mut frame = head(1, node, epoch, clock);
    frame.extend(last.to_be_bytes());
    frame.extend([state, 0, 40]);
    frame.extend(1_452_u16.to_be_bytes());
    frame.extend([0; 28]);
    frame.push(0);
    frame.push(logs.len() as u8);
    for (node, epoch, seq, last) in logs {
        for number in [node, epoch, seq, last] {
            frame.extend(number.to_be_bytes());
        }
    }
    frame
}

pub(crate) fn request(
    from: (u64, u64),
    clock: u64,
    to: (u64, u64),
    proof: u32,
    table: bool,
    ranges: &[(u64, u64)],
) -> Vec<u8> {
    let mut frame = head(2, from.0, from.1, clock);
    frame.extend(to.0.to_be_bytes());
    frame.extend(to.1.to_be_bytes());
    frame.extend(7_u32.to_be_bytes());
    frame.extend(proof.to_be_bytes());
    frame.push(u8::from(table));
    frame.extend(1_452_u16.to_be_bytes());
    frame.push(64);
    frame.push(ranges.len() as u8);
    for (from, to) in ranges {
        frame.extend(from.to_be_bytes());
        frame.extend(to.to_be_bytes());
    }
    frame.push(0);
    frame.extend([0; 9]);
    frame
}
