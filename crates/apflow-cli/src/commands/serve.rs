//! `apflow serve`: the HTTP server with a worker inside, until a signal.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use apflow::{
    core::code::Code,
    protocols::http::{HttpConfig, serve as serve_http},
};
use tokio::net::{TcpListener, lookup_host};
use tokio_util::sync::CancellationToken;

use super::run::seconds;
use crate::{
    access,
    args::Serve,
    config::{self, Database},
    error::{CliError, Exit},
    follow::Interrupts,
    show,
};

pub(crate) async fn serve(args: Serve) -> Result<Exit, CliError> {
    let grace = seconds("--grace", Some(args.grace))?.unwrap_or_default();
    let address = address(&args.host, args.port).await?;
    let webhooks = access::webhooks()?;
    let signed = !webhooks.secrets.is_empty();
    let database = Database::find(&args.database);
    database.prepare()?;
    let mut interrupts = Interrupts::listen()?;
    config::warn_of_grants(&args.allow)?;
    let mut app = config::app(&database, &args.allow)?
        .durability(args.durability.into())
        .webhooks(webhooks)
        .open()
        .await?;
    let gate = access::gate(&app)?;
    let sources = gate.sources().await?;
    if !address.ip().is_loopback() && sources.is_empty() && !args.insecure {
        return Err(CliError::usage(format!("{} reaches beyond this machine", args.host))
            .because("this server asks nobody who they are, and whoever reaches it may run tasks")
            .help("make a token with `apflow token create`, or set APFLOW_JWT_SECRET,")
            .help("leave --host out, or say --insecure if the network is yours alone"));
    }
    let listener = TcpListener::bind(address).await.map_err(|error| {
        CliError::usage(format!("{address} cannot be listened on"))
            .because(error.to_string())
            .help("choose another --port; 0 takes any")
    })?;
    let bound = listener.local_addr().unwrap_or(address);
    app.work();
    show::say(&access::told(&sources, signed));
    app.schedule();
    show::say(&format!(
        "apflow {} serves http://{bound}/tasks on {}",
        env!("CARGO_PKG_VERSION"),
        show::plain(&database.shown())
    ));

    let stop = CancellationToken::new();
    let gateway = app.gateway().clone();
    let config = HttpConfig {
        grace,
        auth: Some(Arc::new(gate)),
        proxies: access::proxies()?,
        ..HttpConfig::default()
    };
    let (until, heard) = (stop.clone(), stop.clone());
    let work = async {
        let serving = serve_http(listener, gateway, config, until);
        // Requests that wait for a run need the worker, so both drain together.
        let draining = async {
            heard.cancelled().await;
            app.shutdown(grace).await
        };
        tokio::join!(serving, draining)
    };
    tokio::pin!(work);
    tokio::select! {
        (served, _) = &mut work => {
            served.map_err(|error| CliError::internal("serving ended").because(error.to_string()))?;
            return Ok(Exit::Ok);
        }
        () = interrupts.next() => {}
    }
    show::say("stopping; again to stop at once");
    stop.cancel();
    tokio::select! {
        (served, drained) = &mut work => {
            served.map_err(|error| CliError::internal("serving ended").because(error.to_string()))?;
            show::say(&format!(
                "stopped: {} tasks finished meanwhile, {} were given back",
                drained.finished,
                drained.handed_back + drained.left
            ));
            Ok(Exit::Ok)
        }
        () = interrupts.next() => Ok(Exit::Interrupted),
    }
}

async fn address(host: &str, port: u16) -> Result<SocketAddr, CliError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let unknown = |why: String| {
        CliError::new(Code::Config, format!("--host {host} leads nowhere"))
            .because(why)
            .help("give an address such as 127.0.0.1")
    };
    let mut found = lookup_host((host, port)).await.map_err(|error| unknown(error.to_string()))?;
    found.next().ok_or_else(|| unknown("the name has no address".to_owned()))
}
