//! What an adapter is: a pair of pure functions, tested without sockets.

use apflow_core::{
    api::{ApiError, Call, Reply},
    store::TaskEvent,
};

/// A wire, as two translations.
pub trait ProtocolAdapter: Send + Sync + 'static {
    /// What comes in.
    type Request;
    /// What goes out.
    type Response;
    /// What of the request is needed again for the response.
    type Envelope: Send;
    /// What the protocol is called.
    const NAME: &'static str;

    /// Reads a request; one that cannot be read already is a response.
    fn decode(&self, request: Self::Request) -> Result<(Self::Envelope, Call), Self::Response>;

    /// Writes a response.
    fn encode(&self, envelope: Self::Envelope, answer: Result<Reply, ApiError>) -> Self::Response;

    /// Words something that happened, if this wire tells it.
    fn event(&self, event: &TaskEvent) -> Option<Self::Response> {
        let _ = event;
        None
    }
}
