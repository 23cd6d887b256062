//! One span and one count an RPC: method, VM, project, request id, duration, code.

use std::sync::Arc;
use std::time::Instant;

use connectrpc::interceptor::{
    Interceptor, Next, NextStream, PayloadStream, StreamRequest, StreamResponse, UnaryRequest, UnaryResponse,
};
use connectrpc::{ConnectError, RequestContext};
use tracing::Instrument as _;

use super::metrics::Metrics;

pub(super) struct WatchRpc {
    metrics: Arc<Metrics>,
}

impl WatchRpc {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics }
    }

    fn ended<T>(&self, method: &str, begun: Instant, result: &Result<T, ConnectError>) {
        let took = begun.elapsed();
        let code = match result {
            Ok(_) => "ok",
            Err(error) => error.code.as_str(),
        };
        self.metrics.rpc_observed(method, code, took);
        let duration_ms = took.as_secs_f64() * 1000.0;
        match result {
            Ok(_) => tracing::info!(code, duration_ms, "rpc"),
            Err(error) => {
                tracing::info!(code, duration_ms, error = error.message.as_deref().unwrap_or_default(), "rpc");
            }
        }
    }
}

fn names(ctx: &RequestContext) -> (String, String) {
    let method = ctx.path().unwrap_or_default().trim_start_matches('/').to_owned();
    let id = ctx.headers().get(super::REQUEST_ID).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    (method, id)
}

#[connectrpc::async_trait]
impl Interceptor for WatchRpc {
    async fn intercept_unary(&self, request: UnaryRequest, next: Next<'_>) -> Result<UnaryResponse, ConnectError> {
        let begun = Instant::now();
        let (method, request_id) = names(&request.ctx);
        let span = tracing::info_span!("rpc", %method, %request_id, vm = tracing::field::Empty, project = tracing::field::Empty);
        let result = next.run(request).instrument(span.clone()).await;
        span.in_scope(|| self.ended(&method, begun, &result));
        result
    }

    async fn intercept_streaming(
        &self,
        request: StreamRequest,
        inbound: PayloadStream,
        next: NextStream<'_>,
    ) -> Result<StreamResponse, ConnectError> {
        let begun = Instant::now();
        let (method, request_id) = names(&request.ctx);
        let span = tracing::info_span!("rpc", %method, %request_id);
        let result = next.run(request, inbound).instrument(span.clone()).await;
        span.in_scope(|| self.ended(&method, begun, &result));
        result
    }
}
