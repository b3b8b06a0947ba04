#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| joold::fuzzing::netlink(bytes));
