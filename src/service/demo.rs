//! stub until merge
use super::node::*;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
pub struct Demo;
impl Demo {
    pub fn prepare() -> Result<Self, String> {
        Ok(Self)
    }
    pub fn uri(&self) -> String {
        "test:///default".into()
    }
}
pub fn seed(_: &crate::store::Store) -> Result<(), String> {
    Ok(())
}
pub struct DemoMachine(ThisMachine);
impl DemoMachine {
    pub fn new(t: ThisMachine) -> Self {
        Self(t)
    }
}
impl Machine for DemoMachine {
    fn hostname(&self) -> String {
        self.0.hostname()
    }
    fn management_ip(&self) -> String {
        self.0.management_ip()
    }
    fn facts(&self) -> crate::model::node::NodeFacts {
        self.0.facts()
    }
    fn load(&self) -> crate::model::node::NodeLoad {
        self.0.load()
    }
    fn filesystem(&self, w: String, p: &std::path::Path) -> Option<crate::service::conditions::Filesystem> {
        self.0.filesystem(w, p)
    }
    fn bridges(&self) -> Vec<String> {
        self.0.bridges()
    }
}
pub async fn heartbeats(_: Arc<NodeService>, _: Arc<dyn Machine>, _: CancellationToken) {}
