//! Request JSON from anybody: every request of the contract, from every text. A message or a
//! refusal, never a panic; and what was read goes on to the readers of its values.

use proptest::prelude::*;
use quantixkvm_proto::Quantixkvm::compute::v1 as compute;
use quantixkvm_proto::Quantixkvm::live::v1 as live;
use quantixkvm_proto::Quantixkvm::operation::v1 as operation;
use quantixkvm_proto::Quantixkvm::state::v1 as state;

use super::{node_in, vm_in};
use crate::hostile::{cases, like, seeds};
use crate::model::spec::VmSpec;

/// Decode as a request; where it is one, its own JSON is read back as itself.
macro_rules! requests {
    ($($area:ident: $($request:ident $(=> $reader:expr)?),+;)+) => {
        const NAMES: &[&str] = &[$($(stringify!($request)),+),+];

        /// As gRPC sends them.
        fn decode_all_binary(bytes: &[u8]) {
            $($({
                use buffa::Message as _;
                if let Ok(sent) = $area::$request::decode_from_slice(bytes) {
                    $area::$request::decode_from_slice(&sent.encode_to_vec()).expect("what was written can be read");
                    $(let _ = $reader(&sent);)?
                }
            })+)+
        }

        /// The seeds that are requests, in binary.
        fn binary_seeds() -> Vec<Vec<u8>> {
            use buffa::Message as _;
            let mut found = Vec::new();
            for text in seeds("tests/corpus/json") {
                $($(found.extend(serde_json::from_slice::<$area::$request>(&text).ok().map(|sent| sent.encode_to_vec()));)+)+
            }
            found.sort();
            found.dedup();
            found
        }

        fn decode_all(text: &[u8]) -> usize {
            let mut found = 0;
            $($(if let Ok(sent) = serde_json::from_slice::<$area::$request>(text) {
                found += 1;
                let written = serde_json::to_value(&sent).expect("what was read can be written");
                let again: $area::$request = serde_json::from_value(written.clone())
                    .unwrap_or_else(|error| panic!("{}: {error}: {written}", stringify!($request)));
                // By value: maps have no order.
                assert_eq!(serde_json::to_value(&again).expect("it can be written"), written, stringify!($request));
                $(let _ = $reader(&sent);)?
            })+)+
            found
        }
    };
}

requests! {
    compute:
        AdoptVMRequest, CreateVMRequest => vm_in::create, DecommissionNodeRequest, DeleteVMRequest => vm_in::delete,
        DisableNodeRequest, DrainNodeRequest => node_in::drain, EjectISORequest, EnableNodeRequest, GetConsoleRequest,
        GetCreateOptionsRequest, GetNodeMetricHistoryRequest, GetNodeMetricsRequest => node_in::metrics_id,
        GetNodeRequest, GetScreenshotRequest, GetVMDefinitionRequest, GetVMMetricHistoryRequest, GetVMRequest,
        ListEventsRequest, ListNodeEventsRequest => node_in::severities, ListNodesRequest => node_in::list,
        ListVMEventsRequest => vm_in::events, ListVMsRequest => vm_in::list, MountISORequest, PauseVMRequest,
        RebootVMRequest, RedefineVMRequest, RegisterNodeRequest => node_in::register, ResumeVMRequest, SendKeysRequest,
        StartVMRequest, StopVMRequest => vm_in::stop, StreamNodeMetricsRequest, SuspendVMRequest,
        UpdateHeartbeatRequest => node_in::heartbeat, UpdateLabelsRequest, UpdateNodeRequest,
        UpdateVMRequest => (|sent| vm_in::update(sent, &VmSpec::default())), WatchEventsRequest, WatchNodesRequest,
        WatchVMRequest, WatchVMUsageRequest, WatchVMsRequest => vm_in::watch;
    operation:
        CancelOperationRequest, GetOperationRequest, ListOperationsRequest, WatchOperationsRequest;
    state:
        BackupStateRequest, ListBackupsRequest;
}

proptest! {
    #![proptest_config(cases(256, "tests/corpus/json.regressions"))]

    #[test]
    fn no_text_upsets_the_decoders(text in like(seeds("tests/corpus/json"))) {
        decode_all(&text);
    }

    #[test]
    fn no_bytes_upset_the_decoders(bytes in like(binary_seeds())) {
        decode_all_binary(&bytes);
        let _ = <live::LiveRequest as buffa::Message>::decode_from_slice(&bytes);
    }
}

#[test]
fn every_seed_is_read_or_refused() {
    let read: usize = seeds("tests/corpus/json").iter().map(|seed| decode_all(seed)).sum();
    assert!(read > 5 * NAMES.len(), "{read} readings");
}

/// What is declared is tried.
#[test]
fn every_request_of_the_contract_is_tried() {
    let mut declared = std::collections::BTreeSet::new();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/Quantixkvm");
    for area in std::fs::read_dir(folder).expect("the contract").flatten() {
        // Authentication has its own.
        if area.file_name() == "auth" {
            continue;
        }
        for file in std::fs::read_dir(area.path().join("v1")).expect("an area").flatten() {
            let text = std::fs::read_to_string(file.path()).expect("a file of the contract");
            let rpcs = text.lines().filter_map(|line| line.trim().strip_prefix("rpc ")?.split_once('('));
            declared.extend(rpcs.filter_map(|(_, rest)| Some(rest.split_once(')')?.0.to_owned())));
        }
    }
    let tried: std::collections::BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(tried, declared);
}
