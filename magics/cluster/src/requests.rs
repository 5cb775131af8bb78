//! Lists of objects: page by page, bounded, with what is denied, absent or broken kept apart.

use std::fmt::Debug;
use std::time::Duration;

use kube::api::{Api, ListParams, ObjectList};
use serde::de::DeserializeOwned;

use crate::asked::Asked;
use crate::cluster::Reach;
use crate::error::ClusterError;
use crate::heard::listening;

/// Objects asked for at once.
const PAGE: u32 = 500;
/// Objects of one kind that are looked at; more are cut off and said to be.
pub(crate) const AT_MOST: usize = 20_000;
/// Waits before the same is asked again, when the server is too busy and does not say how long.
const AGAIN: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];
/// The longest wait that a server can ask for.
const LONGEST: Duration = Duration::from_secs(10);

/// What a list holds.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    pub(crate) items: Vec<T>,
    /// There are more than [`AT_MOST`].
    pub(crate) is_cut: bool,
}

impl Reach {
    /// All objects of `api`, each made into what is kept of it; `asked` says what for.
    pub(crate) async fn list<K, T>(
        &self,
        api: &Api<K>,
        params: &ListParams,
        asked: &Asked,
        keep: impl Fn(K) -> T,
    ) -> Result<Listed<T>, ClusterError>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let mut from_start = true;
        loop {
            match self.pages(api, params, asked, &keep).await {
                // The server keeps a list for five minutes only; what is there now is as good.
                Err(ClusterError::Server { code: 410, .. }) if from_start => from_start = false,
                other => return other,
            }
        }
    }

    async fn pages<K, T>(
        &self,
        api: &Api<K>,
        params: &ListParams,
        asked: &Asked,
        keep: &impl Fn(K) -> T,
    ) -> Result<Listed<T>, ClusterError>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let mut items = Vec::new();
        let mut params = params.clone().limit(PAGE);
        loop {
            let page: ObjectList<K> = self.ask(asked, || api.list(&params)).await?;
            items.extend(page.items.into_iter().map(keep));
            let next = page.metadata.continue_.filter(|next| !next.is_empty());
            let is_cut = items.len() >= AT_MOST && next.is_some();
            match next {
                Some(next) if !is_cut => params = params.continue_token(&next),
                _ => return Ok(Listed { items, is_cut }),
            }
        }
    }

    /// What `request` gives; the same twice is the same as once, hence it is made again when the server is too busy.
    pub(crate) async fn ask<T, F>(
        &self,
        asked: &Asked,
        request: impl FnMut() -> F,
    ) -> Result<T, ClusterError>
    where
        F: Future<Output = kube::Result<T>>,
    {
        Ok(self.hear(asked, request).await?.0)
    }

    /// The same, with the warnings that came with it.
    pub(crate) async fn hear<T, F>(
        &self,
        asked: &Asked,
        mut request: impl FnMut() -> F,
    ) -> Result<(T, Vec<String>), ClusterError>
    where
        F: Future<Output = kube::Result<T>>,
    {
        let mut waits = AGAIN.iter();
        loop {
            let (answer, heard) = listening(self.once(asked, request())).await;
            let error = match answer {
                Ok(answer) => return Ok((answer, heard.warnings)),
                Err(error) => error,
            };
            match waits.next().filter(|_| error.is_busy()) {
                // A timeout of a future that never ends is a wait.
                Some(wait) => {
                    let wait = heard.wait.map_or(*wait, |told| told.clamp(*wait, LONGEST));
                    let _ = tokio::time::timeout(wait, std::future::pending::<()>()).await;
                }
                None => return Err(error),
            }
        }
    }

    /// What `request` gives, made once.
    pub(crate) async fn once<T>(
        &self,
        asked: &Asked,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ClusterError> {
        // A server that is silent is noticed by the connection; this is for one that dribbles.
        let limit = self.patience.connect + 3 * self.patience.read;
        match tokio::time::timeout(limit, request).await {
            Ok(answer) => answer.map_err(|error| asked.failed(error, self.patience.read)),
            Err(_) => Err(ClusterError::TimedOut {
                server: self.server.clone(),
                what: asked.what(),
                after: limit,
            }),
        }
    }
}
