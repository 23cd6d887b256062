//! What the parts cost by themselves: axum serializing the same rows, a redb commit, libvirt's own
//! calls.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::routing::post;
use quantixkvm_proto::Quantixkvm::compute::v1::{GetVMRequest, ListVMsResponse};
use redb::{Database, TableDefinition};

/// Serves the rows of this file, serialized for every request, and one of them for a POST whose
/// body is parsed. Prints its address.
pub fn serve(file: &str) {
    let rows: ListVMsResponse = serde_json::from_slice(&std::fs::read(file).expect("the rows")).expect("a list of VMs");
    let one = Arc::new(rows.vms.first().cloned().unwrap_or_default());
    let rows = Arc::new(rows);
    super::run(async {
        let router = axum::Router::new()
            .route("/list", post(move || async move { axum::Json(ListVMsResponse::clone_of(&rows)) }))
            .route(
                "/get",
                post(move |axum::Json(_): axum::Json<GetVMRequest>| async move { axum::Json(one.as_ref().clone()) }),
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        axum::serve(listener, router).await.expect("it serves");
    });
}

/// Serializing borrows; only the handler's signature wants an owner.
trait CloneOf {
    fn clone_of(rows: &Arc<Self>) -> SharedRows;
}

/// Rows that are serialized where they lie.
pub struct SharedRows(Arc<ListVMsResponse>);

impl CloneOf for ListVMsResponse {
    fn clone_of(rows: &Arc<Self>) -> SharedRows {
        SharedRows(Arc::clone(rows))
    }
}

impl serde::Serialize for SharedRows {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

/// The floor's server, in a process of its own as ours is.
pub struct Floor {
    child: Child,
    pub url: String,
}

impl Floor {
    pub fn start(rows: &std::path::Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg("--floor")
            .arg(rows)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its address");
        Self { child, url: format!("http://{}", line.trim()) }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Commits of a row of `bytes` in each of so many tables, durable and in two phases, on the disk that
/// ours are on.
pub struct Commits {
    database: Database,
    names: Vec<String>,
    row: Vec<u8>,
    next: u64,
}

impl Commits {
    pub fn beside(dir: &std::path::Path, tables: usize, bytes: usize) -> Self {
        let database = Database::create(dir.join(format!("floor-{tables}.redb"))).expect("a database");
        let names = (0..tables).map(|number| format!("rows-{number}")).collect();
        Self { database, names, row: vec![7; bytes], next: 0 }
    }

    /// One more, and what it took.
    pub fn commit(&mut self) -> Duration {
        let begun = Instant::now();
        let mut write = self.database.begin_write().expect("a transaction");
        write.set_two_phase_commit(true);
        for name in &self.names {
            let rows: TableDefinition<u64, &[u8]> = TableDefinition::new(name);
            write.open_table(rows).expect("a table").insert(self.next % 100, self.row.as_slice()).expect("a row");
        }
        write.commit().expect("a commit");
        self.next += 1;
        begun.elapsed()
    }
}
