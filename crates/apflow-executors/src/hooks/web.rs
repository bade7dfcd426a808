//! An address as a hook: a signed `POST` past the guard, its answer in the body.

use std::{sync::Arc, time::Duration};

use apflow_core::time::Clock;
use reqwest::{
    Response,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use ring::digest::{SHA256, digest};
use url::Url;

use super::{MAX_ANSWER, Webhook};
use crate::{
    ExecutorsConfig,
    courier::SigningKey,
    guard::{Guard, SystemLookup},
    rest::client::{Certificates, Clients, Trouble, trouble},
};

/// An address that may be called.
pub(super) struct Web {
    url: Url,
    headers: HeaderMap,
    key: Option<SigningKey>,
    guard: Arc<Guard>,
    clients: Clients,
    clock: Arc<dyn Clock>,
}

impl Web {
    pub(super) fn new(webhook: &Webhook, config: &ExecutorsConfig) -> Result<Self, String> {
        let guard = Arc::new(Guard {
            rules: config.rest.allow_hosts.clone(),
            ports: config.rest.ports.clone(),
            plain: config.rest.allow_http,
        });
        let url = guard.read(&webhook.url).map_err(|refusal| refusal.to_string())?;
        let mut headers = HeaderMap::new();
        for (name, value) in &webhook.headers {
            let read = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
            // Without the value, which may be a secret.
            let Some((name, mut value)) = read else {
                return Err(format!("the header {name:?} cannot be sent"));
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let key = webhook.secret.as_deref().map(SigningKey::new).transpose()?;
        let lookup = Arc::new(SystemLookup);
        Ok(Self {
            clients: Clients::new(Arc::clone(&guard), lookup, config.rest.connect_timeout),
            url,
            headers,
            key,
            guard,
            clock: Arc::clone(&config.clock),
        })
    }

    pub(super) async fn ask(&self, about: &str, time: Duration) -> Result<String, String> {
        let late = |_| format!("no answer within {} s", time.as_secs_f64());
        tokio::time::timeout(time, self.call(about)).await.map_err(late)?.map_err(|trouble| {
            match trouble {
                Trouble::Refused(refusal) => refusal.to_string(),
                Trouble::Blocked(why) | Trouble::Final(why) | Trouble::Passing(why) => why,
            }
        })
    }

    async fn call(&self, about: &str) -> Result<String, Trouble> {
        let route = self.guard.admit(&self.url)?;
        let certificates = match self.url.scheme() {
            "https" => Certificates::Checked,
            _ => Certificates::None,
        };
        let client = self.clients.get(route, certificates)?;
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.prove(&mut headers, about);
        // Redirects are not followed: the client has no policy for them, and they end as they are.
        let request = client.post(self.url.clone()).headers(headers).body(about.to_owned());
        let response = request.send().await.map_err(trouble)?;
        let status = response.status();
        if !status.is_success() {
            return Err(Trouble::Final(format!("HTTP status {}", status.as_u16())));
        }
        read(response).await
    }

    /// The id of the call, the moment and, with a key, the signature.
    fn prove(&self, headers: &mut HeaderMap, about: &str) {
        let now = self.clock.now().0;
        let at = (now / 1_000_000).to_string();
        let seed = digest(&SHA256, format!("{now}.{about}").as_bytes());
        let half: Vec<String> =
            seed.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let id = format!("msg_{}", half.concat());
        let signed = self.key.as_ref().map(|key| key.standard(&id, &at, about));
        let own = [("webhook-id", Some(id)), ("webhook-timestamp", Some(at))];
        for (name, value) in own.into_iter().chain([("webhook-signature", signed)]) {
            // Hexadecimal, numbers and base64 are plain text.
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
    }
}

async fn read(mut response: Response) -> Result<String, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(trouble)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Trouble::Final(format!("the answer has more than {MAX_ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|_| Trouble::Final("the answer is no text".to_owned()))
}
