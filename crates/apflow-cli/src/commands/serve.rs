//! `apflow serve`: the HTTP server with a worker inside, until a signal.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use apflow::{
    core::{api::configuration::Reloaded, code::Code, engine::Engine},
    protocols::http::serve as serve_http,
};
use tokio::net::{TcpListener, lookup_host};
use tokio_util::sync::CancellationToken;

use crate::{
    access,
    args::Serve,
    config::{self, Database, Live, Overrides, Settings},
    error::{CliError, Exit},
    follow::Interrupts,
    log, show,
};

pub(crate) async fn serve(args: Serve, overrides: Overrides) -> Result<Exit, CliError> {
    let settings = Settings::load(&overrides)?;
    for warning in settings.warnings() {
        show::warn(warning);
    }
    let filter = log::changeable(settings.log_filter().as_deref())?;
    let grace = settings.server.grace;
    let address = address(&settings.server.host, settings.server.port).await?;
    let webhooks = access::webhooks(&settings)?;
    let passes = access::passes(&settings)?;
    let signed = !webhooks.secrets.is_empty();
    let mut http = config::http(&settings)?;
    let database = Database::find(&settings);
    database.prepare()?;
    let mut interrupts = Interrupts::listen()?;
    config::warn_of_grants(&settings)?;
    let mut app = config::app(&settings, &database)?.webhooks(webhooks).open().await?;
    let gate = access::gate(&app, &settings)?;
    let sources = gate.sources().await?;
    if !address.ip().is_loopback() && sources.is_empty() && !args.insecure {
        let host = &settings.server.host;
        return Err(CliError::usage(format!("{host} reaches beyond this machine"))
            .because("this server asks nobody who they are, and whoever reaches it may run tasks")
            .help("make a token with `apflow token create`, or set APFLOW_JWT_SECRET,")
            .help("leave --host out, or say --insecure if the network is yours alone"));
    }
    http.auth = Some(Arc::new(gate));
    let listener = TcpListener::bind(address).await.map_err(|error| {
        CliError::usage(format!("{address} cannot be listened on"))
            .because(error.to_string())
            .help("choose another --port; 0 takes any")
    })?;
    let bound = listener.local_addr().unwrap_or(address);
    let scheduling = settings.scheduler.enabled;
    let live = Arc::new(live(overrides, settings, filter, app.engine().clone()));
    let mut gateway = app.gateway().clone().with_configuration(Arc::clone(&live) as Arc<_>);
    if let Some(passes) = passes {
        gateway = gateway.with_passes(Arc::new(passes));
    }
    // Before anybody is told that the server is there: until it is heard, SIGHUP ends the process.
    let _hearing = Hearing::begin(live)?;
    app.work();
    show::say(&access::told(&sources, signed));
    if scheduling {
        app.schedule();
    }
    show::say(&format!(
        "apflow {} serves http://{bound}/tasks on {}",
        env!("CARGO_PKG_VERSION"),
        show::plain(&database.shown())
    ));

    let stop = CancellationToken::new();
    let (until, heard) = (stop.clone(), stop.clone());
    let work = async {
        let serving = serve_http(listener, gateway, http, until);
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

/// What can change while the server runs, and who takes it.
fn live(overrides: Overrides, settings: Settings, filter: log::Filter, engine: Engine) -> Live {
    Live::new(overrides, settings)
        .tell(move |settings| filter.set(settings.log_filter().as_deref()))
        .tell(move |settings| {
            let allow = &settings.executors;
            engine.registry().restrict(&allow.extensions, &allow.extension_ids);
            Ok(())
        })
}

/// Reads the configuration again at each SIGHUP, until it is dropped.
struct Hearing(tokio::task::JoinHandle<()>);

impl Hearing {
    #[cfg(unix)]
    fn begin(live: Arc<Live>) -> Result<Self, CliError> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangups = signal(SignalKind::hangup()).map_err(|error| {
            CliError::internal("SIGHUP cannot be heard").because(error.to_string())
        })?;
        Ok(Self(tokio::spawn(async move {
            while hangups.recv().await.is_some() {
                let live = Arc::clone(&live);
                // Files are read in a thread where that may take its time.
                let _ = tokio::task::spawn_blocking(move || tell(live.read_again())).await;
            }
        })))
    }

    #[cfg(not(unix))]
    fn begin(_: Arc<Live>) -> Result<Self, CliError> {
        Ok(Self(tokio::spawn(async {})))
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Says what came of reading the configuration again.
fn tell(read: Result<Reloaded, CliError>) {
    match read {
        Ok(Reloaded { changed, needs_restart, warnings }) => {
            for warning in &warnings {
                show::warn(warning);
            }
            let changed =
                if changed.is_empty() { "nothing changed".to_owned() } else { changed.join(", ") };
            show::say(&format!("the configuration was read again: {changed}"));
            if !needs_restart.is_empty() {
                show::say(&format!("the next start takes {}", needs_restart.join(", ")));
            }
        }
        Err(error) => {
            error.show();
            show::say("the configuration stays as it was");
        }
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
