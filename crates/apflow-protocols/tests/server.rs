//! A server on a free port with the fake engine behind it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use apflow_core::api::{Gateway, GatewayConfig};
use apflow_protocols::http::{HttpConfig, serve};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::fake::{Fake, Noon};

pub(crate) struct Server {
    pub(crate) at: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<std::io::Result<()>>,
}

pub(crate) fn gateway(execute_wait: Duration) -> Gateway {
    let config = GatewayConfig {
        execute_wait,
        version: "0.0.0-test".to_owned(),
        ..GatewayConfig::default()
    };
    Gateway::new(Arc::new(Fake::default()), Arc::new(Noon), config)
}

/// Limits small enough to be waited for.
pub(crate) fn short() -> HttpConfig {
    HttpConfig {
        first_byte: Duration::from_millis(200),
        header: Duration::from_millis(300),
        keep_alive: Duration::from_millis(700),
        body_idle: Duration::from_millis(200),
        total: Duration::from_millis(600),
        grace: Duration::from_millis(400),
        ..HttpConfig::default()
    }
}

/// With the fake engine.
pub(crate) async fn start(config: HttpConfig) -> Server {
    start_with(gateway(Duration::from_millis(500)), config).await
}

/// With any engine.
pub(crate) async fn start_with(gateway: Gateway, config: HttpConfig) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(listener, gateway, config, stop.clone()));
    Server { at, stop, task }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
