//! XML from anybody: what libvirt says of a domain that others defined, or bytes that are no XML.
//! Read or refused, never a panic; and what was read can be edited and written again.

use proptest::prelude::*;

use super::golden::whole_host;
use super::*;
use crate::hostile::{cases, like, seeds};
use crate::hypervisor::Accelerator;
use crate::model::definition::DefinitionText;
use crate::model::spec::VmSpec;

fn texts() -> Vec<Vec<u8>> {
    let golden = seeds("tests/golden/xml").into_iter().chain(seeds("tests/golden/rebuild"));
    golden.chain(seeds("tests/corpus/xml")).collect()
}

/// Everything that reads XML; answers whether it was a domain.
fn read_all(text: &str) -> bool {
    let _ = HostFile::read(text);
    let _ = HostProfile::from_capabilities(text, text, Accelerator::Kvm);
    let _ = caps::read_qemu_ids(text);
    let _ = caps::read_host(text);
    let _ = storage::read_volume("default", text);
    let _ = storage::read_pool_path(text);
    let _ = read_consoles(text);
    let _ = read_metadata(text);
    if let Ok(shown) = without_secrets(text) {
        assert!(without_secrets(&shown).is_ok_and(|again| again == shown), "twice is not once: {shown}");
    }
    for path in [None, Some("/iso/<x>&\".iso")] {
        let _ = with_medium(text, "sda", path);
    }
    let Ok(read) = read_domain(text) else { return false };
    let host = whole_host(Accelerator::Tcg);
    let current = DefinitionText(text.to_owned());
    for wanted in [&read.spec, &VmSpec::default()] {
        if let Ok(edited) = edit_domain(&current, wanted, read.identity.as_ref(), &host) {
            read_domain(&edited.0)
                .unwrap_or_else(|error| panic!("what was edited cannot be read: {error}: {}", edited.0));
        }
    }
    true
}

proptest! {
    #![proptest_config(cases(192, "tests/corpus/xml.regressions"))]

    #[test]
    fn no_text_upsets_the_readers(bytes in like(texts())) {
        read_all(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn every_seed_is_read_or_refused() {
    let read = texts().iter().filter(|seed| read_all(&String::from_utf8_lossy(seed))).count();
    assert!(read > 60, "{read} of the seeds were domains");
    for refused in ["entities.xml", "deep.xml"] {
        let path = format!("{}/tests/corpus/xml/{refused}", env!("CARGO_MANIFEST_DIR"));
        assert!(read_domain(&std::fs::read_to_string(path).expect("a seed")).is_err(), "{refused}");
    }
}
