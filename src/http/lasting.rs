//! A stream lasts as long as its caller may read it: with a sign-out, a revocation or a lower role it
//! ends in a sentence, whatever it is a stream of.

use connectrpc::ConnectError;
use connectrpc::interceptor::{Interceptor, NextStream, PayloadStream, StreamRequest, StreamResponse};
use futures::StreamExt as _;

use crate::service::auth::{Principal, SIGNED_OUT};

pub(super) struct Lasting;

#[connectrpc::async_trait]
impl Interceptor for Lasting {
    async fn intercept_streaming(
        &self,
        request: StreamRequest,
        inbound: PayloadStream,
        next: NextStream<'_>,
    ) -> Result<StreamResponse, ConnectError> {
        let ended = request.ctx.extensions().get::<Principal>().map(|caller| caller.ended.clone());
        let mut response = next.run(request, inbound).await?;
        if let Some(ended) = ended {
            let last = ended.clone();
            let last = futures::stream::once(async move { last.is_cancelled() })
                .filter_map(|cut| std::future::ready(cut.then(|| Err(ConnectError::unauthenticated(SIGNED_OUT)))));
            response.body = response.body.take_until(ended.cancelled_owned()).chain(last).boxed();
        }
        Ok(response)
    }
}
